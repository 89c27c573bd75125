/*
 * Rules of nf_tables as netlink messages (include/uapi/linux/netfilter/nf_tables.h of the kernel; what they do is in nft(8)).
 *
 * A rule is begin_rule(), expressions in their order, and end_rule(). Each match goes on with the next expression where it
 * holds; values are in register 1.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "gateway/messages/message.h"

struct chain {
  const char *name;
  /* "filter" or "nat". */
  const char *type;
  int32_t priority;
};

/* Bytes of a packet: `base` is NFT_PAYLOAD_NETWORK_HEADER or the like. */
struct field {
  uint32_t base, offset, size;
};

/* Around the messages of a transaction; `type` is NFNL_MSG_BATCH_BEGIN or NFNL_MSG_BATCH_END. */
void put_bracket(struct batch *batch, uint16_t type);
/* A table of the family inet. */
void put_table(struct batch *batch, const char *table);
/* At the hook prerouting. `what` as in begin(), here and for rules. */
void put_chain(struct batch *batch, const char *table, const struct chain *chain, const char *what);

/* Returns what end_rule() takes. */
size_t begin_rule(struct batch *batch, const char *table, const char *chain, const char *what);
/* `verdict` is NF_ACCEPT or NF_DROP. */
void end_rule(struct batch *batch, size_t rule, uint32_t verdict);
/* Of a rule whose last expression decides. */
void end_deciding_rule(struct batch *batch, size_t rule);

/* `key` is NFT_META_IIF or the like. */
void match_meta(struct batch *batch, uint32_t key, const void *value, size_t size);
void match_field(struct batch *batch, struct field field, const void *value);
/* A byte, of which only the bits of the mask count. */
void match_byte(struct batch *batch, struct field field, unsigned char mask, unsigned char value);
/* Copies a field to the packet's mark: its bytes come first there. */
void field_to_mark(struct batch *batch, struct field field);
/* Sets a field; `checksum` is the offset of the checksum that covers it, in the same header, or NO_CHECKSUM. */
enum { NO_CHECKSUM = -1 };
void set_field(struct batch *batch, struct field field, const void *value, int checksum);
/* To the socket with that port. The rule goes on only where there is one. */
void put_tproxy(struct batch *batch, uint16_t port);
/* Leads a connection to that port, of the address that it goes to. Decides. */
void put_destination_port(struct batch *batch, uint16_t port);
