// A published port, as the engine sees it.
#pragma once
#include <vector>

#include "context.h"

struct PortOptions {
  uint32_t id = 0;
  DialTarget target;
  std::vector<Fd> listeners;
};

class Port {
 public:
  explicit Port(uint32_t id) : id_(id) {}
  virtual ~Port() = default;
  uint32_t id() const { return id_; }
  Counters& counters() { return counters_; }
  // Begins to take connections.
  virtual void open() = 0;
  // Closes the listeners and every connection. The port may be deleted afterwards.
  virtual void close() = 0;
  virtual void onTick() {}

 protected:
  uint32_t id_;
  Counters counters_;
};
