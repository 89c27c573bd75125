#include "gateway/messages/nf_tables.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

static const char loading[] = "load the packet filter: nf_tables inet";

static void begin_message(struct batch *batch, uint16_t type, uint16_t flags, const char *what) {
  struct nfgenmsg head = {.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};
  begin(batch, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, what);
  put(batch, &head, sizeof head);
}

void put_bracket(struct batch *batch, uint16_t type) {
  struct nfgenmsg head = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
  begin(batch, type, 0, "load the packet filter: nf_tables");
  put(batch, &head, sizeof head);
}

void put_table(struct batch *batch, const char *table) {
  begin_message(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE, loading);
  put_string(batch, NFTA_TABLE_NAME, table);
}

void put_chain(struct batch *batch, const char *table, const struct chain *chain, const char *what) {
  begin_message(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE, what);
  put_string(batch, NFTA_CHAIN_TABLE, table);
  put_string(batch, NFTA_CHAIN_NAME, chain->name);
  size_t hook = begin_nest(batch, NFTA_CHAIN_HOOK);
  put_be32(batch, NFTA_HOOK_HOOKNUM, NF_INET_PRE_ROUTING);
  put_be32(batch, NFTA_HOOK_PRIORITY, (uint32_t)chain->priority);
  end_nest(batch, hook);
  put_string(batch, NFTA_CHAIN_TYPE, chain->type);
}

size_t begin_rule(struct batch *batch, const char *table, const char *chain, const char *what) {
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

static void load_value(struct batch *batch, const void *value, size_t size) {
  struct expression immediate = begin_expression(batch, "immediate");
  put_be32(batch, NFTA_IMMEDIATE_DREG, NFT_REG_1);
  put_value(batch, NFTA_IMMEDIATE_DATA, value, size);
  end_expression(batch, immediate);
}

static void load_port(struct batch *batch, uint16_t port) {
  uint16_t value = htons(port);
  load_value(batch, &value, sizeof value);
}

/* `direction` is NFTA_PAYLOAD_DREG, where the field is read, or NFTA_PAYLOAD_SREG. */
static struct expression begin_payload(struct batch *batch, uint16_t direction, struct field field) {
  struct expression payload = begin_expression(batch, "payload");
  put_be32(batch, direction, NFT_REG_1);
  put_be32(batch, NFTA_PAYLOAD_BASE, field.base);
  put_be32(batch, NFTA_PAYLOAD_OFFSET, field.offset);
  put_be32(batch, NFTA_PAYLOAD_LEN, field.size);
  return payload;
}

static void load_field(struct batch *batch, struct field field) {
  end_expression(batch, begin_payload(batch, NFTA_PAYLOAD_DREG, field));
}

static void compare(struct batch *batch, const void *value, size_t size) {
  struct expression cmp = begin_expression(batch, "cmp");
  put_be32(batch, NFTA_CMP_SREG, NFT_REG_1);
  put_be32(batch, NFTA_CMP_OP, NFT_CMP_EQ);
  put_value(batch, NFTA_CMP_DATA, value, size);
  end_expression(batch, cmp);
}

void match_meta(struct batch *batch, uint32_t key, const void *value, size_t size) {
  struct expression meta = begin_expression(batch, "meta");
  put_be32(batch, NFTA_META_DREG, NFT_REG_1);
  put_be32(batch, NFTA_META_KEY, key);
  end_expression(batch, meta);
  compare(batch, value, size);
}

void match_field(struct batch *batch, struct field field, const void *value) {
  load_field(batch, field);
  compare(batch, value, field.size);
}

void match_byte(struct batch *batch, struct field field, unsigned char mask, unsigned char value) {
  unsigned char none = 0;
  load_field(batch, field);
  struct expression bitwise = begin_expression(batch, "bitwise");
  put_be32(batch, NFTA_BITWISE_SREG, NFT_REG_1);
  put_be32(batch, NFTA_BITWISE_DREG, NFT_REG_1);
  put_be32(batch, NFTA_BITWISE_LEN, 1);
  put_value(batch, NFTA_BITWISE_MASK, &mask, 1);
  put_value(batch, NFTA_BITWISE_XOR, &none, 1);
  end_expression(batch, bitwise);
  compare(batch, &value, 1);
}

void field_to_mark(struct batch *batch, struct field field) {
  load_field(batch, field);
  struct expression meta = begin_expression(batch, "meta");
  put_be32(batch, NFTA_META_KEY, NFT_META_MARK);
  put_be32(batch, NFTA_META_SREG, NFT_REG_1);
  end_expression(batch, meta);
}

void set_field(struct batch *batch, struct field field, const void *value, int checksum) {
  load_value(batch, value, field.size);
  struct expression payload = begin_payload(batch, NFTA_PAYLOAD_SREG, field);
  if (checksum != NO_CHECKSUM) {
    put_be32(batch, NFTA_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_INET);
    put_be32(batch, NFTA_PAYLOAD_CSUM_OFFSET, (uint32_t)checksum);
  }
  end_expression(batch, payload);
}

void put_tproxy(struct batch *batch, uint16_t port) {
  load_port(batch, port);
  struct expression tproxy = begin_expression(batch, "tproxy");
  put_be32(batch, NFTA_TPROXY_FAMILY, NFPROTO_UNSPEC);
  put_be32(batch, NFTA_TPROXY_REG_PORT, NFT_REG_1);
  end_expression(batch, tproxy);
}

void put_destination_port(struct batch *batch, uint16_t port) {
  load_port(batch, port);
  struct expression nat = begin_expression(batch, "nat");
  put_be32(batch, NFTA_NAT_TYPE, NFT_NAT_DNAT);
  put_be32(batch, NFTA_NAT_FAMILY, NFPROTO_INET);
  put_be32(batch, NFTA_NAT_REG_PROTO_MIN, NFT_REG_1);
  put_be32(batch, NFTA_NAT_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
  end_expression(batch, nat);
}

void end_rule(struct batch *batch, size_t rule, uint32_t verdict) {
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

void end_deciding_rule(struct batch *batch, size_t rule) { end_nest(batch, rule); }
