// native_test dns-serve: serves DNS over UDP and TCP on 127.0.0.1, with the resolvers that standard input names, and
// prints a line of JSON for each line of it:
//
//   (at the start)            {"udp": port, "tcp": port}
//   resolvers ADDRESS PORT …  {"resolvers": count}
//   state                     {"outstanding": queries, "streams": connections, "descriptors": open ones of the process}
//
// At the end of the input all is destroyed, with the queries that are under way.
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <future>
#include <iostream>
#include <memory>
#include <set>
#include <sstream>
#include <vector>

#include "dns/forwarder.h"
#include "dns/tcp_server.h"
#include "loop/loop.h"
#include "parts.h"

namespace rn {

namespace test {

namespace {

class Server;

class Listener : public Handler {
 public:
  Listener(Server* server, Fd fd) : server_(server), fd_(std::move(fd)) {}
  void onEvents(uint32_t events) override;
  int fd() const { return fd_.get(); }
  uint16_t port() const {
    Address own;
    own.length = sizeof own.v6;
    getsockname(fd_.get(), &own.sa, &own.length);
    return own.port();
  }

 private:
  Server* server_;
  Fd fd_;
};

Fd listenOnLoopback(int type) {
  Address address;
  Address::parse("127.0.0.1", 0, &address);
  return std::move(sockets::listenOn(address, type, false).fd);
}

size_t openDescriptors() {
  size_t count = 0;
  DIR* directory = opendir("/proc/self/fd");
  while (directory != nullptr && readdir(directory) != nullptr) count++;
  if (directory != nullptr) closedir(directory);
  return count;
}

class Server {
 public:
  Server() : forwarder_(std::make_unique<DnsForwarder>(loop_, &budget_)) {
    loop_.watch(udp_.fd(), EPOLLIN, &udp_);
    loop_.watch(tcp_.fd(), EPOLLIN, &tcp_);
    loop_.start();
    std::cout << "{\"udp\":" << udp_.port() << ",\"tcp\":" << tcp_.port() << "}" << std::endl;
  }
  ~Server() {
    loop_.stop();
    for (Listener* listener : {&udp_, &tcp_}) loop_.unwatch(listener);
    std::set<DnsStream*> streams = std::move(streams_);
    for (DnsStream* stream : streams) stream->close();
    forwarder_.reset();
  }

  void accept(Listener* listener) {
    if (listener == &udp_) return receive();
    for (;;) {
      Fd fd(accept4(tcp_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!fd.valid()) return;
      auto place = std::make_shared<DnsStream*>(nullptr);
      auto ask = [this](std::string query, DnsStream::Reply reply) {
        forwarder_->ask(std::move(query), true, once(std::move(reply)));
      };
      *place = new DnsStream(loop_, std::move(fd), ask, [this, place] { streams_.erase(*place); });
      streams_.insert(*place);
    }
  }

  // Runs on the loop's thread, and waits for it.
  std::string call(const std::string& line) {
    std::promise<std::string> result;
    loop_.post([&] { result.set_value(handle(line)); });
    return result.get_future().get();
  }

 private:
  void receive() {
    char buffer[65536];
    for (;;) {
      Address from;
      from.length = sizeof from.v6;
      ssize_t n = recvfrom(udp_.fd(), buffer, sizeof buffer, MSG_DONTWAIT, &from.sa, &from.length);
      if (n < 0) return;
      auto reply = [this, from](const std::string& answer) {
        if (!answer.empty()) sendto(udp_.fd(), answer.data(), answer.size(), MSG_DONTWAIT, &from.sa, from.length);
      };
      forwarder_->ask(std::string(buffer, size_t(n)), false, once(reply));
    }
  }

  // Replies that come twice, or once the forwarder is destroyed, are faults.
  DnsForwarder::Done once(DnsForwarder::Done done) {
    auto called = std::make_shared<bool>(false);
    return [this, called, done = std::move(done)](std::string reply) {
      if (*called || !forwarder_) abort();
      *called = true;
      done(std::move(reply));
    };
  }

  std::string handle(const std::string& line) {
    std::istringstream in(line);
    std::string word, ip;
    uint16_t port;
    in >> word;
    std::ostringstream out;
    if (word == "resolvers") {
      std::vector<Address> resolvers;
      Address address;
      while (in >> ip >> port && Address::parse(ip, port, &address)) resolvers.push_back(address);
      forwarder_->setResolvers(resolvers);
      out << "{\"resolvers\":" << resolvers.size() << "}";
    } else {
      out << "{\"outstanding\":" << forwarder_->outstanding() << ",\"streams\":" << streams_.size()
          << ",\"descriptors\":" << openDescriptors() << "}";
    }
    return out.str();
  }

  Loop loop_;
  FdBudget::Total total_;
  FdBudget budget_{total_};
  Listener udp_{this, listenOnLoopback(SOCK_DGRAM)};
  Listener tcp_{this, listenOnLoopback(SOCK_STREAM)};
  std::set<DnsStream*> streams_;
  std::unique_ptr<DnsForwarder> forwarder_;
};

void Listener::onEvents(uint32_t) {
  progress();
  server_->accept(this);
}

}  // namespace

int dnsServe(int, char**) {
  Server server;
  std::string line;
  while (std::getline(std::cin, line)) std::cout << server.call(line) << std::endl;
  return 0;
}

}  // namespace test

}  // namespace rn
