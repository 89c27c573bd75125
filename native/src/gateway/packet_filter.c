#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <unistd.h>

#include "gateway/messages/nf_tables.h"
#include "gateway/parts.h"

static const char table[] = "gateway";

static const struct chain
    /* After what other rules mangle, -150; see NF_IP_PRI_MANGLE. */
    prerouting = {"prerouting", "filter", -149},
    /* After defragmentation, -400, and before connections are tracked, -200. */
    ports = {"ports", "filter", -300},
    /* NF_IP_PRI_NAT_DST. */
    connections = {"connections", "nat", -100};

static const char loading[] = "load the packet filter", loading_tproxy[] = "load the packet filter: tproxy",
                  loading_nat[] = "load the packet filter: nat";

static const struct field tcp_flags = {NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1},
                          icmp_type = {NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1},
                          udp_destination = {NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2},
                          udp_checksum = {NFT_PAYLOAD_TRANSPORT_HEADER, 6, 2};

static void match_device(struct batch *batch) {
  const uint32_t gw0 = GATEWAY_INDEX;
  match_meta(batch, NFT_META_IIF, &gw0, sizeof gw0);
}

static void match_protocol(struct batch *batch, unsigned char protocol) {
  match_meta(batch, NFT_META_L4PROTO, &protocol, sizeof protocol);
}

/* A rule for what comes from the child. */
static size_t begin_child_rule(struct batch *batch, unsigned char protocol, const char *what) {
  size_t rule = begin_rule(batch, table, prerouting.name, what);
  match_device(batch);
  match_protocol(batch, protocol);
  return rule;
}

/* What leads to the sockets with TPROXY. */
static void put_tproxy_rules(struct batch *batch, uint32_t mark) {
  size_t syn = begin_rule(batch, table, prerouting.name, loading_tproxy);
  match_meta(batch, NFT_META_MARK, &mark, sizeof mark);
  match_protocol(batch, IPPROTO_TCP);
  put_tproxy(batch, LISTENER_PORT);
  end_rule(batch, syn, NF_ACCEPT);

  size_t udp = begin_child_rule(batch, IPPROTO_UDP, loading_tproxy);
  put_tproxy(batch, LISTENER_PORT);
  end_rule(batch, udp, NF_ACCEPT);
}

static void put_udp_port_rule(struct batch *batch, int has_checksum) {
  const uint16_t none = 0, port = htons(LISTENER_PORT);
  size_t rule = begin_rule(batch, table, ports.name, loading);
  match_device(batch);
  match_protocol(batch, IPPROTO_UDP);
  if (!has_checksum) match_field(batch, udp_checksum, &none);
  field_to_mark(batch, udp_destination);
  set_field(batch, udp_destination, &port, has_checksum ? (int)udp_checksum.offset : NO_CHECKSUM);
  end_rule(batch, rule, NF_ACCEPT);
}

/* What leads to the sockets without TPROXY. */
static void put_translating_rules(struct batch *batch, uint32_t mark) {
  put_chain(batch, table, &ports, loading);
  put_udp_port_rule(batch, 0);
  put_udp_port_rule(batch, 1);
  put_chain(batch, table, &connections, loading_nat);
  size_t syn = begin_rule(batch, table, connections.name, loading_nat);
  match_meta(batch, NFT_META_MARK, &mark, sizeof mark);
  match_protocol(batch, IPPROTO_TCP);
  put_destination_port(batch, LISTENER_PORT);
  end_deciding_rule(batch, syn);
  end_rule(batch, begin_child_rule(batch, IPPROTO_UDP, loading), NF_ACCEPT);
}

static void put_syn_rule(struct batch *batch) {
  size_t rule = begin_child_rule(batch, IPPROTO_TCP, loading);
  match_byte(batch, tcp_flags, TH_FIN | TH_SYN | TH_RST | TH_ACK, TH_SYN);
  end_rule(batch, rule, NF_DROP);
}

static void put_echo_rule(struct batch *batch, unsigned char protocol, unsigned char type) {
  size_t rule = begin_child_rule(batch, protocol, loading);
  match_field(batch, icmp_type, &type);
  end_rule(batch, rule, NF_DROP);
}

static void put_last_rule(struct batch *batch) {
  size_t rule = begin_rule(batch, table, prerouting.name, loading);
  match_device(batch);
  end_rule(batch, rule, NF_DROP);
}

static int load(int fd, uint32_t mark, int translates, const char **what) {
  struct batch batch;
  batch_clear(&batch);
  put_bracket(&batch, NFNL_MSG_BATCH_BEGIN);
  put_table(&batch, table);
  put_chain(&batch, table, &prerouting, "load the packet filter: nf_tables inet");
  put_syn_rule(&batch);
  if (translates) put_translating_rules(&batch, mark);
  else put_tproxy_rules(&batch, mark);
  end_rule(&batch, begin_child_rule(&batch, IPPROTO_TCP, loading), NF_ACCEPT);
  put_echo_rule(&batch, IPPROTO_ICMP, ICMP_ECHO);
  put_echo_rule(&batch, IPPROTO_ICMPV6, ICMP6_ECHO_REQUEST);
  end_rule(&batch, begin_child_rule(&batch, IPPROTO_ICMP, loading), NF_ACCEPT);
  end_rule(&batch, begin_child_rule(&batch, IPPROTO_ICMPV6, loading), NF_ACCEPT);
  put_last_rule(&batch);
  put_bracket(&batch, NFNL_MSG_BATCH_END);
  return send_batch(&batch, fd, what);
}

int load_packet_filter(uint32_t mark, int *translates, const char **what) {
  *what = "load the packet filter: nfnetlink";
  int fd = open_netlink(NETLINK_NETFILTER);
  if (fd < 0) return errno;
  *translates = 0;
  int error = load(fd, mark, 0, what);
  if (error != 0 && *what == loading_tproxy) {
    *translates = 1;
    error = load(fd, mark, 1, what);
  }
  close(fd);
  return error;
}
