// Conversions between C++ and JavaScript values.
#pragma once
#include <node_api.h>
#include <cstdint>
#include <string>
#include <vector>

#include "system/fd.h"
#include "system/sockets.h"

namespace rn {

napi_value makeString(napi_env env, const std::string& text);
napi_value makeNumber(napi_env env, double number);
napi_value makeBoolean(napi_env env, bool boolean);
napi_value makeBuffer(napi_env env, const std::string& data);
napi_value makeObject(napi_env env);
napi_value makeArray(napi_env env, const std::vector<int>& numbers);
napi_value undefined(napi_env env);
void set(napi_env env, napi_value object, const char* name, napi_value value);

// Throws an Error with `code` (ENOENT …), `errno` and `syscall`, as Node's own errors have them. Returns null.
// `port` is the one that the call was about; 0 for none.
napi_value throwErrno(napi_env env, int error, const char* call, uint16_t port = 0);

// The arguments of a call. A wrong type gives an empty value: all callers are typed modules of this package.
class Args {
 public:
  Args(napi_env env, napi_callback_info info);
  napi_value self() const { return self_; }
  napi_value at(int i) const { return values_[i]; }
  uint32_t number(int i) const { return numberOf(values_[i]); }
  bool boolean(int i) const;
  std::string string(int i) const { return stringOf(values_[i]); }
  std::string bytes(int i) const { return bytesOf(values_[i]); }
  std::vector<Fd> fds(int i) const;
  std::vector<uint32_t> numbers(int i) const;
  std::vector<std::string> strings(int i) const;
  std::vector<std::string> buffers(int i) const;
  // Of texts, all with that port.
  std::vector<Address> addresses(int i, uint16_t port) const;
  // Sets *value to property `name` of argument `i`; leaves it alone where there is no such argument or property.
  void override(int i, const char* name, uint64_t* value) const;
  // Property `name` of argument `i`; empty, or 0, where there is none.
  std::string text(int i, const char* name) const { return stringOf(property(values_[i], name)); }
  uint32_t numberAt(int i, const char* name) const { return numberOf(property(values_[i], name)); }
  // As numberAt(), beyond 32 bits.
  uint64_t largeNumberAt(int i, const char* name) const;
  // SOCK_DGRAM for "udp", else SOCK_STREAM.
  int socketType(int i) const { return string(i) == "udp" ? SOCK_DGRAM : SOCK_STREAM; }

 private:
  static constexpr size_t kMax = 8;

  template <typename F>
  void each(napi_value array, F callback) const;
  napi_value property(napi_value object, const char* name) const;
  uint32_t numberOf(napi_value v) const;
  std::string stringOf(napi_value v) const;
  std::string bytesOf(napi_value v) const;

  napi_env env_;
  napi_value self_ = nullptr;
  napi_value values_[kMax] = {};
};

}  // namespace rn
