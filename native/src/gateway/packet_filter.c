#include "gateway/parts.h"

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
#include <unistd.h>

static const char table[] = "gateway", chain[] = "prerouting";

enum {
  /* After what other rules mangle, -150; see NF_IP_PRI_MANGLE. */
  PRIORITY = -149,
  TCP_FLAGS_OFFSET = 13,
};

static void begin_message(struct batch *batch, uint16_t type, uint16_t flags, const char *what) {
  struct nfgenmsg head = {.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};
  begin(batch, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, what);
  put(batch, &head, sizeof head);
}

/* The messages around those of a transaction. */
static void put_bracket(struct batch *batch, uint16_t type) {
  struct nfgenmsg head = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
  begin(batch, type, 0, "load the packet filter: nf_tables");
  put(batch, &head, sizeof head);
}

static void put_chain(struct batch *batch) {
  begin_message(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE, "load the packet filter: nf_tables inet");
  put_string(batch, NFTA_TABLE_NAME, table);
  begin_message(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE, "load the packet filter: nf_tables inet");
  put_string(batch, NFTA_CHAIN_TABLE, table);
  put_string(batch, NFTA_CHAIN_NAME, chain);
  size_t hook = begin_nest(batch, NFTA_CHAIN_HOOK);
  put_be32(batch, NFTA_HOOK_HOOKNUM, NF_INET_PRE_ROUTING);
  put_be32(batch, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY);
  end_nest(batch, hook);
  put_string(batch, NFTA_CHAIN_TYPE, "filter");
}

/* --- rules: begin_rule, then expressions, then end_rule ----------------------------------------------------------- */

static size_t begin_rule(struct batch *batch, const char *what) {
  begin_message(batch, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, what);
  put_string(batch, NFTA_RULE_TABLE, table);
  put_string(batch, NFTA_RULE_CHAIN, chain);
  return begin_nest(batch, NFTA_RULE_EXPRESSIONS);
}

struct expression {
  size_t element, data;
};

static struct expression begin_expression(struct batch *batch, const char *name) {
  struct expression expression;
  expression.element = begin_nest(batch, NFTA_LIST_ELEM);
  put_string(batch, NFTA_EXPR_NAME, name);
  expression.data = begin_nest(batch, NFTA_EXPR_DATA);
  return expression;
}

static void end_expression(struct batch *batch, struct expression expression) {
  end_nest(batch, expression.data);
  end_nest(batch, expression.element);
}

static void put_value(struct batch *batch, uint16_t type, const void *value, size_t size) {
  size_t nest = begin_nest(batch, type);
  put_attribute(batch, NFTA_DATA_VALUE, value, size);
  end_nest(batch, nest);
}

/* Goes on where the register has that value. */
static void compare(struct batch *batch, const void *value, size_t size) {
  struct expression cmp = begin_expression(batch, "cmp");
  put_be32(batch, NFTA_CMP_SREG, NFT_REG_1);
  put_be32(batch, NFTA_CMP_OP, NFT_CMP_EQ);
  put_value(batch, NFTA_CMP_DATA, value, size);
  end_expression(batch, cmp);
}

static void match_meta(struct batch *batch, uint32_t key, const void *value, size_t size) {
  struct expression meta = begin_expression(batch, "meta");
  put_be32(batch, NFTA_META_DREG, NFT_REG_1);
  put_be32(batch, NFTA_META_KEY, key);
  end_expression(batch, meta);
  compare(batch, value, size);
}

static void match_device(struct batch *batch) {
  const uint32_t gw0 = GATEWAY_INDEX;
  match_meta(batch, NFT_META_IIF, &gw0, sizeof gw0);
}

static void match_protocol(struct batch *batch, unsigned char protocol) {
  match_meta(batch, NFT_META_L4PROTO, &protocol, sizeof protocol);
}

/* A byte of the transport header. */
static void match_byte(struct batch *batch, uint32_t offset, unsigned char mask, unsigned char value) {
  struct expression payload = begin_expression(batch, "payload");
  put_be32(batch, NFTA_PAYLOAD_DREG, NFT_REG_1);
  put_be32(batch, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
  put_be32(batch, NFTA_PAYLOAD_OFFSET, offset);
  put_be32(batch, NFTA_PAYLOAD_LEN, 1);
  end_expression(batch, payload);
  if (mask != 0xff) {
    unsigned char none = 0;
    struct expression bitwise = begin_expression(batch, "bitwise");
    put_be32(batch, NFTA_BITWISE_SREG, NFT_REG_1);
    put_be32(batch, NFTA_BITWISE_DREG, NFT_REG_1);
    put_be32(batch, NFTA_BITWISE_LEN, 1);
    put_value(batch, NFTA_BITWISE_MASK, &mask, 1);
    put_value(batch, NFTA_BITWISE_XOR, &none, 1);
    end_expression(batch, bitwise);
  }
  compare(batch, &value, 1);
}

/* The rule goes on only where there is a socket. */
static void put_tproxy(struct batch *batch) {
  uint16_t port = htons(TPROXY_PORT);
  struct expression immediate = begin_expression(batch, "immediate");
  put_be32(batch, NFTA_IMMEDIATE_DREG, NFT_REG_1);
  put_value(batch, NFTA_IMMEDIATE_DATA, &port, sizeof port);
  end_expression(batch, immediate);
  struct expression tproxy = begin_expression(batch, "tproxy");
  put_be32(batch, NFTA_TPROXY_FAMILY, NFPROTO_UNSPEC);
  put_be32(batch, NFTA_TPROXY_REG_PORT, NFT_REG_1);
  end_expression(batch, tproxy);
}

static void end_rule(struct batch *batch, size_t rule, uint32_t verdict) {
  struct expression immediate = begin_expression(batch, "immediate");
  put_be32(batch, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
  size_t data = begin_nest(batch, NFTA_IMMEDIATE_DATA);
  size_t code = begin_nest(batch, NFTA_DATA_VERDICT);
  put_be32(batch, NFTA_VERDICT_CODE, verdict);
  end_nest(batch, code);
  end_nest(batch, data);
  end_expression(batch, immediate);
  end_nest(batch, rule);
}

/* --- the rules ------------------------------------------------------------------------------------------------------ */

static const char loading[] = "load the packet filter", loading_tproxy[] = "load the packet filter: tproxy";

static void put_tproxy_rules(struct batch *batch, uint32_t mark) {
  size_t syn = begin_rule(batch, loading_tproxy);
  match_meta(batch, NFT_META_MARK, &mark, sizeof mark);
  match_protocol(batch, IPPROTO_TCP);
  put_tproxy(batch);
  end_rule(batch, syn, NF_ACCEPT);

  size_t udp = begin_rule(batch, loading_tproxy);
  match_device(batch);
  match_protocol(batch, IPPROTO_UDP);
  put_tproxy(batch);
  end_rule(batch, udp, NF_ACCEPT);
}

static void put_syn_rule(struct batch *batch) {
  size_t rule = begin_rule(batch, loading);
  match_device(batch);
  match_protocol(batch, IPPROTO_TCP);
  match_byte(batch, TCP_FLAGS_OFFSET, TH_FIN | TH_SYN | TH_RST | TH_ACK, TH_SYN);
  end_rule(batch, rule, NF_DROP);
}

static void put_protocol_rule(struct batch *batch, unsigned char protocol) {
  size_t rule = begin_rule(batch, loading);
  match_device(batch);
  match_protocol(batch, protocol);
  end_rule(batch, rule, NF_ACCEPT);
}

static void put_echo_rule(struct batch *batch, unsigned char protocol, unsigned char type) {
  size_t rule = begin_rule(batch, loading);
  match_device(batch);
  match_protocol(batch, protocol);
  match_byte(batch, 0, 0xff, type);
  end_rule(batch, rule, NF_DROP);
}

static void put_last_rule(struct batch *batch) {
  size_t rule = begin_rule(batch, loading);
  match_device(batch);
  end_rule(batch, rule, NF_DROP);
}

int load_packet_filter(uint32_t mark, const char **what) {
  *what = "load the packet filter: nfnetlink";
  int fd = open_netlink(NETLINK_NETFILTER);
  if (fd < 0) return errno;
  struct batch batch;
  batch_clear(&batch);
  put_bracket(&batch, NFNL_MSG_BATCH_BEGIN);
  put_chain(&batch);
  put_syn_rule(&batch);
  put_tproxy_rules(&batch, mark);
  put_protocol_rule(&batch, IPPROTO_TCP);
  put_echo_rule(&batch, IPPROTO_ICMP, ICMP_ECHO);
  put_echo_rule(&batch, IPPROTO_ICMPV6, ICMP6_ECHO_REQUEST);
  put_protocol_rule(&batch, IPPROTO_ICMP);
  put_protocol_rule(&batch, IPPROTO_ICMPV6);
  put_last_rule(&batch);
  put_bracket(&batch, NFNL_MSG_BATCH_END);
  int error = send_batch(&batch, fd, what);
  close(fd);
  return error;
}
