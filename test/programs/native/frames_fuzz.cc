// native_test frames-fuzz SEED COUNT: parses so many changed copies of frames that a program inside may send, the same ones for the
// same seed, and makes every reply to those that are valid; prints how many these were. The replies
// are sent to a descriptor that is none. For sanitizers, and for what is checked here.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <iostream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "outbound/frames/packet.h"
#include "outbound/frames/packet_out.h"
#include "outbound/frames/udp_out.h"
#include "parts.h"

namespace rn {

namespace test {

namespace {

// Ethernet header, IP header, and a SYN with a maximum segment size, or an echo request.
constexpr const char* kSamples[] = {
    "52550a00020252550a000264080045000040abcd400040060000"
    "0a000264c6336401a0c401bb0102030400000000b002fa7f0000000002040fc00402080a00000001000000000103030701020304",
    "52550a00020252550a000264080046000040abcd400040060000"
    "0a000264c633640101010101a0c401bb010203040000000080c2fa7f000000000204ffc0010303070402010100000000",
    "52550a00020252550a000264080045000054abcd4000400100000a000264c633640108000000123400016162636465666768",
    "52550a00020252550a00026486dd6000000000200640fd000000000000000000000000000100"
    "20010db8000000000000000000000001a0c401bb0102030400000000800",
    "52550a00020252550a00026486dd6000000000103a40fd000000000000000000000000000100"
    "20010db80000000000000000000000018000000012340001616263646566",
};

constexpr int kErrors[] = {0, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EACCES, ENOPROTOOPT, EPROTO, EMSGSIZE};

[[noreturn]] void fail(const char* what, std::string_view frame) {
  std::cerr << what << ": " << toHex(frame) << "\n";
  abort();
}

bool isWithin(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

class Fuzzer {
 public:
  explicit Fuzzer(uint64_t seed) : random_(seed) {
    for (const char* sample : kSamples) {
      std::string bytes = fromHex(sample);
      // Of an IP packet's length, so that most changes leave it valid.
      bytes.resize(14 + 40 + 64);
      samples_.push_back(bytes);
    }
  }

  void run(size_t count) {
    for (size_t i = 0; i < count; i++) {
      std::string frame = samples_[below(samples_.size())];
      setLength(&frame);
      for (size_t n = below(4); n > 0; n--) change(&frame);
      // Of exactly that size, so that AddressSanitizer sees what is read behind it.
      auto bytes = std::make_unique<char[]>(frame.size());
      memcpy(bytes.get(), frame.data(), frame.size());
      answer({bytes.get(), frame.size()});
    }
  }

  size_t valid() const { return valid_; }

 private:
  size_t below(size_t limit) { return limit == 0 ? 0 : size_t(random_() % limit); }

  // The field of IPv4, and of IPv6.
  static void setLength(std::string* frame) {
    bool v4 = (*frame)[12] == 0x08;
    size_t length = frame->size() - 14 - (v4 ? 0 : 40), at = v4 ? 16 : 18;
    (*frame)[at] = char(length >> 8);
    (*frame)[at + 1] = char(length);
  }

  void change(std::string* frame) {
    size_t at = below(frame->size());
    switch (below(5)) {
      case 0: frame->resize(at); break;
      case 1: frame->resize(frame->size() + below(70000), 'x'); break;
      case 2:
        if (!frame->empty()) (*frame)[at] = char(below(256));
        break;
      // In the headers.
      case 3:
        if (frame->size() > 60) (*frame)[12 + below(48)] = char(below(256));
        break;
      default: frame->erase(at, below(32)); break;
    }
  }

  void answer(std::string_view frame) {
    Packet packet;
    if (!parseFrame(frame, &packet)) return;
    valid_++;
    if (!isWithin(packet.ip, frame) || !isWithin(packet.transport, packet.ip)) fail("a packet leaves its frame", frame);
    if (packet.source.family() != packet.destination.family()) fail("a packet has two families", frame);
    for (int error : kErrors) out_.unreachable(packet.ip, error);
    if (packet.isSyn()) {
      out_.inject(packet);
      out_.reset(packet);
    } else if (packet.protocol != IPPROTO_TCP) {
      out_.echoReply({packet.destination, packet.source, packet.at16(4), packet.at16(6)}, packet.transport.substr(8));
    }
    answerByUdp(packet);
  }

  void answerByUdp(const Packet& packet) {
    std::vector<iovec> parts(1 + below(64));
    size_t segment = below(4) == 0 ? below(3000) : below(200);
    std::string bytes(std::max<size_t>(1, segment) * (parts.size() + 1), 'x');
    for (size_t i = 0; i < parts.size(); i++) parts[i] = {&bytes[i * segment], segment};
    if (segment > 0) parts.back().iov_len = 1 + below(segment);
    UdpOut::Ends ends{packet.destination, packet.source};
    if (segment > 0 && parts.size() > 1) udp_.add(ends, parts.data(), parts.size(), segment);
    for (const iovec& one : parts) udp_.add(ends, &one, 1, 0);
    iovec all{bytes.data(), bytes.size()};
    udp_.add(ends, &all, 1, below(2) == 0 ? 0 : segment);
    if (below(8) == 0) udp_.flush();
    // What is not sent yet refers to these bytes.
    udp_.flush();
  }

  static PacketOut::Options options() {
    PacketOut::Options options;
    Address::parse("10.0.2.2", 0, &options.own4);
    Address::parse("fd00::2", 0, &options.own6);
    return options;
  }

  std::mt19937_64 random_;
  std::vector<std::string> samples_;
  PacketOut out_{options()};
  UdpOut udp_{out_};
  size_t valid_ = 0;
};

}  // namespace

int framesFuzz(int argc, char** argv) {
  if (argc != 3) return 2;
  Fuzzer fuzzer(strtoull(argv[1], nullptr, 10));
  size_t count = strtoull(argv[2], nullptr, 10);
  fuzzer.run(count);
  std::cout << "{\"frames\":" << count << ",\"valid\":" << fuzzer.valid() << "}\n";
  return 0;
}

}  // namespace test

}  // namespace rn
