#include "lib/ops/bodies.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

constexpr std::string_view kBody = "body";

void infer(InferContext& c) {
  c.require_inputs(1, SIZE_MAX);
  require_kind(c, 0, Type::Kind::sequence);
  require_body(c, kBody, c.input_count(), c.output_count());
  std::vector<Fact> inputs;
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (!c.has_input(i)) c.fail("input " + std::to_string(i) + " is missing");
    const bool sequence = c.type(i).kind == Type::Kind::sequence;
    inputs.push_back(sequence ? Fact{c.type(i).element ? *c.type(i).element : Type(), {}, {}} : c.input(i));
  }
  const auto made = c.infer_body(kBody, inputs);
  for (size_t i = 0; i < made.size(); ++i) {
    Type type;
    type.kind = Type::Kind::sequence;
    type.element = std::make_shared<const Type>(made[i].type);
    c.set(i, std::move(type));
  }
}

void evaluate(EvaluateContext& c) {
  std::vector<HostValue> given;
  for (size_t i = 0; i < c.input_count(); ++i) given.push_back(c.value(i));
  if (!given[0].is_sequence()) c.fail("its input is " + given[0].type().str() + ", expected a sequence");
  const size_t n = given[0].elements().size();
  std::vector<std::vector<HostValue>> made(c.output_count());
  for (size_t k = 0; k < n; ++k) {
    std::vector<HostValue> inputs;
    for (const HostValue& v : given) {
      if (v.is_sequence() && v.elements().size() != n) {
        c.fail("its sequences have " + std::to_string(n) + " and " + std::to_string(v.elements().size()) + " elements");
      }
      inputs.push_back(v.is_sequence() ? v.elements()[k] : v);
    }
    const auto results = c.run_body(kBody, inputs);
    for (size_t i = 0; i < results.size(); ++i) made[i].push_back(results[i]);
  }
  const auto body = c.node().require<Body>(kBody);
  for (size_t i = 0; i < made.size(); ++i) {
    Type element = body->value(body->outputs[i]).type;
    element.dims.reset();
    if (!made[i].empty() && made[i][0].is_tensor()) element = Type::tensor(made[i][0].tensor().type());
    c.set_value(i, HostValue::sequence(std::move(element), std::move(made[i])));
  }
}

}  // namespace

extern const Op sequence_map;
const Op sequence_map = {.name = "SequenceMap", .since = 17, .infer = infer, .evaluate = evaluate};

}  // namespace espalier::ops
