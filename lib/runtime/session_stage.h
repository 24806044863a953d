#pragma once

#include "lib/runtime/session.h"

namespace espalier {

/// What a node's body needs of the graph around it.
struct SessionBody {
  std::unique_ptr<Session> session;
  std::vector<ValueId> captured;  ///< values fed behind the body's own inputs
  std::vector<bool> fed;          ///< by body input: false where it is constant inside
};

/// One stage for given sizes of what it begins with.
struct Session::Stage {
  std::unique_ptr<Plan> plan;
  std::vector<ValueId> reads, makes;  ///< of the plan
  std::vector<std::pair<ValueId, Tensor>> constants;  ///< what nodes run by reference and the graph's outputs read of them
  std::vector<std::pair<ValueId, Tensor>> known;      ///< what follows from the sizes so far and is read behind this stage
  std::vector<NodeId> by_reference;   ///< after the plan, in order
  std::vector<ValueId> decides;       ///< values whose types decide the next stage
  std::set<NodeId> left;              ///< nodes behind it
  std::vector<ValueId> last_read;     ///< nothing behind it reads them
  Stages next;
  Graph graph;                        ///< the nodes of this stage and behind it
  FactTable facts;
  std::map<std::pair<NodeId, std::string>, SessionBody> bodies;
  std::map<ValueId, std::unique_ptr<Plan>> deliveries;  ///< of gradients that were made by reference
  std::map<NodeId, int64_t> spent;    ///< nanoseconds by reference, while profiling
};

}  // namespace espalier
