// Builds and parses netlink messages (netlink(7)).
#pragma once
#include <linux/netlink.h>
#include <string.h>
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace rn {

namespace netlink {

// Appends one message to others; it is complete when the builder ends.
class MessageBuilder {
 public:
  MessageBuilder(std::string* out, uint16_t type, uint16_t flags) : out_(out), start_(out->size()) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = uint16_t(NLM_F_REQUEST | flags);
    put(header);
  }
  ~MessageBuilder() {
    uint32_t length = uint32_t(out_->size() - start_);
    memcpy(&(*out_)[start_], &length, sizeof length);
  }
  MessageBuilder(const MessageBuilder&) = delete;
  MessageBuilder& operator=(const MessageBuilder&) = delete;

  template <typename T>
  void put(const T& value) {
    append(&value, sizeof value);
  }
  void attribute(uint16_t type, const void* data, size_t size) {
    nlattr head{uint16_t(sizeof head + size), type};
    put(head);
    append(data, size);
  }
  template <typename T>
  void attribute(uint16_t type, const T& value) {
    attribute(type, &value, sizeof value);
  }

 private:
  void append(const void* data, size_t size) {
    out_->append(static_cast<const char*>(data), size);
    out_->append(NLMSG_ALIGN(size) - size, '\0');
  }

  std::string* out_;
  size_t start_;
};

// Calls back with the header and the body of each complete message.
template <typename F>
void eachMessage(std::string_view data, F callback) {
  while (data.size() >= NLMSG_HDRLEN) {
    nlmsghdr header;
    memcpy(&header, data.data(), sizeof header);
    if (header.nlmsg_len < NLMSG_HDRLEN || header.nlmsg_len > data.size()) return;
    callback(header, data.substr(NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN));
    data.remove_prefix(std::min(size_t(NLMSG_ALIGN(header.nlmsg_len)), data.size()));
  }
}

// Calls back with the type and the value of each attribute.
template <typename F>
void eachAttribute(std::string_view data, F callback) {
  while (data.size() >= sizeof(nlattr)) {
    nlattr head;
    memcpy(&head, data.data(), sizeof head);
    if (head.nla_len < sizeof head || head.nla_len > data.size()) return;
    callback(uint16_t(head.nla_type & NLA_TYPE_MASK), data.substr(sizeof head, head.nla_len - sizeof head));
    data.remove_prefix(std::min(size_t(NLA_ALIGN(head.nla_len)), data.size()));
  }
}

}  // namespace netlink

}  // namespace rn
