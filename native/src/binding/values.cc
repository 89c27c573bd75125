#include "binding/values.h"

#include <errno.h>
#include <string.h>
#include <uv.h>

#include <algorithm>

namespace rn {

napi_value makeString(napi_env env, const std::string& text) {
  napi_value value;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

napi_value makeNumber(napi_env env, double number) {
  napi_value value;
  napi_create_double(env, number, &value);
  return value;
}

napi_value makeBoolean(napi_env env, bool boolean) {
  napi_value value;
  napi_get_boolean(env, boolean, &value);
  return value;
}

napi_value makeBuffer(napi_env env, const std::string& data) {
  napi_value value;
  napi_create_buffer_copy(env, data.size(), data.data(), nullptr, &value);
  return value;
}

napi_value makeObject(napi_env env) {
  napi_value object;
  napi_create_object(env, &object);
  return object;
}

napi_value makeArray(napi_env env, const std::vector<int>& numbers) {
  napi_value array;
  napi_create_array_with_length(env, numbers.size(), &array);
  for (size_t i = 0; i < numbers.size(); i++) napi_set_element(env, array, uint32_t(i), makeNumber(env, numbers[i]));
  return array;
}

napi_value undefined(napi_env env) {
  napi_value value;
  napi_get_undefined(env, &value);
  return value;
}

void set(napi_env env, napi_value object, const char* name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

namespace {

// As Node names it; and some that libuv has no name of. glibc's strerrorname_np() is not in every C library.
std::string errnoName(int error) {
  switch (error) {
    case ECHILD: return "ECHILD";
    case EDQUOT: return "EDQUOT";
    case ESTALE: return "ESTALE";
    default: break;
  }
  char name[64];
  std::string known = uv_err_name_r(-error, name, sizeof name);
  return known.compare(0, 7, "Unknown") == 0 ? "UNKNOWN" : known;
}

}  // namespace

napi_value throwErrno(napi_env env, int error, const char* call, uint16_t port) {
  napi_value object;
  napi_create_error(env, makeString(env, errnoName(error)), makeString(env, std::string(call) + ": " + strerror(error)),
                    &object);
  set(env, object, "errno", makeNumber(env, error));
  set(env, object, "syscall", makeString(env, call));
  if (port != 0) set(env, object, "port", makeNumber(env, port));
  napi_throw(env, object);
  return nullptr;
}

Args::Args(napi_env env, napi_callback_info info) : env_(env) {
  size_t count = kMax;
  napi_get_cb_info(env, info, &count, values_, &self_, nullptr);
}

bool Args::boolean(int i) const {
  bool value = false;
  napi_get_value_bool(env_, values_[i], &value);
  return value;
}

std::string Args::bytesOf(napi_value v) const {
  void* data = nullptr;
  size_t length = 0;
  bool isBuffer = false;
  napi_is_buffer(env_, v, &isBuffer);
  if (!isBuffer) return "";
  napi_get_buffer_info(env_, v, &data, &length);
  return std::string(static_cast<char*>(data), length);
}

template <typename F>
void Args::each(napi_value array, F callback) const {
  bool isArray = false;
  napi_is_array(env_, array, &isArray);
  if (!isArray) return;
  uint32_t length = 0;
  napi_get_array_length(env_, array, &length);
  for (uint32_t k = 0; k < length; k++) {
    napi_value v;
    napi_get_element(env_, array, k, &v);
    callback(v);
  }
}

std::vector<Fd> Args::fds(int i) const {
  std::vector<Fd> out;
  each(values_[i], [&](napi_value v) { out.emplace_back(int(numberOf(v))); });
  return out;
}

std::vector<uint32_t> Args::numbers(int i) const {
  std::vector<uint32_t> out;
  each(values_[i], [&](napi_value v) { out.push_back(numberOf(v)); });
  return out;
}

std::vector<std::string> Args::strings(int i) const {
  std::vector<std::string> out;
  each(values_[i], [&](napi_value text) { out.push_back(stringOf(text)); });
  return out;
}

std::vector<std::string> Args::buffers(int i) const {
  std::vector<std::string> out;
  each(values_[i], [&](napi_value buffer) { out.push_back(bytesOf(buffer)); });
  return out;
}

std::vector<Address> Args::addresses(int i, uint16_t port) const {
  std::vector<Address> out;
  each(values_[i], [&](napi_value ip) {
    Address address;
    if (Address::parse(stringOf(ip), port, &address)) out.push_back(address);
  });
  return out;
}

void Args::override(int i, const char* name, uint64_t* value) const {
  napi_valuetype type = napi_undefined;
  bool has = false;
  if (napi_typeof(env_, values_[i], &type) != napi_ok || type != napi_object) return;
  if (napi_has_named_property(env_, values_[i], name, &has) != napi_ok || !has) return;
  *value = numberOf(property(values_[i], name));
}

uint64_t Args::largeNumberAt(int i, const char* name) const {
  int64_t number = 0;
  napi_get_value_int64(env_, property(values_[i], name), &number);
  return uint64_t(std::max<int64_t>(number, 0));
}

napi_value Args::property(napi_value object, const char* name) const {
  napi_value v;
  napi_get_named_property(env_, object, name, &v);
  return v;
}

uint32_t Args::numberOf(napi_value v) const {
  double value = 0;
  napi_get_value_double(env_, v, &value);
  return uint32_t(value);
}

std::string Args::stringOf(napi_value v) const {
  size_t length = 0;
  if (napi_get_value_string_utf8(env_, v, nullptr, 0, &length) != napi_ok) return "";
  std::string out(length, '\0');
  napi_get_value_string_utf8(env_, v, out.data(), length + 1, &length);
  return out;
}

}  // namespace rn
