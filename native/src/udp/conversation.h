// How a flow has been used: what its time-out depends on, and whether it is evicted before others.
#pragma once
#include <cstdint>

#include "engine/context.h"

namespace rn {

struct Conversation {
  // Datagrams, in both directions.
  uint64_t questions = 0;
  uint64_t answers = 0;
  // When the last one came, as Loop::now().
  uint64_t used = 0;

  // More than one question and its answer.
  bool isStream() const { return answers > 0 && questions + answers > 2; }
  bool isOver(uint64_t now, const Timeouts& timeouts) const {
    uint64_t idle = answers == 0 ? timeouts.udpUnanswered : isStream() ? timeouts.udpStream : timeouts.udpAnswered;
    return now - used >= idle;
  }
};

}  // namespace rn
