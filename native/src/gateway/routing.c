#include "gateway/parts.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

enum {
  NEW = NLM_F_CREATE | NLM_F_EXCL,
  /* Of the gateway namespace; any that the kernel does not use itself. */
  TABLE = 100,
  /* Before those of the kernel's main table, 32766. */
  PRIORITY = 1000,
};

static void begin_rule(struct batch *batch, int family, uint32_t priority) {
  struct fib_rule_hdr rule = {.family = (unsigned char)family, .table = TABLE, .action = FR_ACT_TO_TBL};
  begin(batch, RTM_NEWRULE, NEW, family == AF_INET ? "add a routing rule" : "add a routing rule of IPv6");
  put(batch, &rule, sizeof rule);
  put_u32(batch, FRA_PRIORITY, priority);
}

static void put_family_routing(struct batch *batch, int family, uint32_t mark) {
  begin_rule(batch, family, PRIORITY);
  put_string(batch, FRA_IIFNAME, GATEWAY_DEVICE);
  begin_rule(batch, family, PRIORITY + 1);
  put_u32(batch, FRA_FWMARK, mark);

  struct rtmsg route = {.rtm_family = (unsigned char)family,
                        .rtm_table = TABLE,
                        .rtm_protocol = RTPROT_BOOT,
                        .rtm_scope = RT_SCOPE_HOST,
                        .rtm_type = RTN_LOCAL};
  begin(batch, RTM_NEWROUTE, NEW, "add a local default route");
  put(batch, &route, sizeof route);
  put_u32(batch, RTA_OIF, LOOPBACK_INDEX);
}

void put_gateway_routing(struct batch *batch, const struct gateway_plan *plan) {
  put_family_routing(batch, AF_INET, plan->mark);
  if (plan->ipv6.family != AF_UNSPEC) put_family_routing(batch, AF_INET6, plan->mark);
}

/* Nothing where that family is not used. */
static void put_default_route(struct batch *batch, int family, const unsigned char *through, uint32_t index) {
  if (family == AF_UNSPEC) return;
  struct rtmsg route = {.rtm_family = (unsigned char)family,
                        .rtm_table = RT_TABLE_MAIN,
                        .rtm_protocol = RTPROT_BOOT,
                        .rtm_scope = RT_SCOPE_UNIVERSE,
                        .rtm_type = RTN_UNICAST};
  begin(batch, RTM_NEWROUTE, NEW, "add a default route");
  put(batch, &route, sizeof route);
  put_attribute(batch, RTA_GATEWAY, through, family == AF_INET ? 4 : 16);
  put_u32(batch, RTA_OIF, index);
}

void put_child_routes(struct batch *batch, const struct gateway_plan *plan, uint32_t index) {
  put_default_route(batch, plan->ipv4.family, plan->ipv4.gateway, index);
  put_default_route(batch, plan->ipv6.family, plan->ipv6.gateway, index);
}

void put_return_routes(struct batch *batch, const struct gateway_plan *plan, uint32_t index) {
  put_default_route(batch, plan->ipv4.family, plan->ipv4.child, index);
  put_default_route(batch, plan->ipv6.family, plan->ipv6.child, index);
}
