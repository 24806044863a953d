#include "lib/kernels/cross_entropy.h"
#include "lib/ops/class_loss.h"

namespace espalier {
namespace {

std::optional<CrossEntropyProblem> problem(const LowerContext& c, bool logarithms) {
  const Dims dims = c.dims(0);
  const DataType labels = c.type(1);
  if (c.type(0) != DataType::float32 || dims.size() < 2 || element_count(dims) == 0) return std::nullopt;
  if (labels != DataType::int64 && labels != DataType::int32) return std::nullopt;
  CrossEntropyProblem p;
  p.batch = dims[0];
  p.classes = dims[1];
  p.inner = element_count(dims) / (dims[0] * dims[1]);
  p.label_type = labels;
  if (element_count(c.dims(1)) != p.positions() || (c.has_input(2) && c.dims(2) != Dims{p.classes})) return std::nullopt;
  const auto reduction = c.node().get<std::string>("reduction", "mean");
  p.reduction = reduction == "none"  ? CrossEntropyProblem::Reduction::none
                : reduction == "sum" ? CrossEntropyProblem::Reduction::sum
                                     : CrossEntropyProblem::Reduction::mean;
  if (c.node().has("ignore_index")) p.ignore_index = c.node().require<int64_t>("ignore_index");
  p.weights = c.has_input(2);
  p.logarithms = logarithms;
  return p;
}

Operand plain(LowerContext& c, size_t i) { return c.read(i, Layout::plain(c.type(i), c.dims(i))); }

}  // namespace

bool lower_class_loss(LowerContext& c, bool logarithms) {
  auto p = problem(c, logarithms);
  if (!p || !c.has_output(0)) return false;
  p->log_prob = c.has_output(1);
  std::vector<Operand> args = {plain(c, 0), plain(c, 1)};
  if (p->weights) args.push_back(plain(c, 2));
  args.push_back(c.write(0, Layout::plain(DataType::float32, c.output_dims(0))));
  if (p->log_prob) args.push_back(c.write(1, Layout::plain(DataType::float32, c.output_dims(1))));
  c.step(cross_entropy(*p), args, "loop");
  return true;
}

bool lower_class_loss_grad(LowerContext& c, bool logarithms) {
  const auto p = problem(c, logarithms);
  const bool each = p && p->reduction == CrossEntropyProblem::Reduction::none;
  if (!p || c.type(3) != DataType::float32 || element_count(c.dims(3)) != (each ? p->positions() : 1)) return false;
  std::vector<Operand> args;
  if (!logarithms) args.push_back(plain(c, 0));
  args.push_back(plain(c, 1));
  if (p->weights) args.push_back(plain(c, 2));
  args.push_back(plain(c, 3));
  args.push_back(c.write(0, Layout::plain(DataType::float32, c.dims(0))));
  c.step(cross_entropy_backward(*p), args, "loop");
  return true;
}

}  // namespace espalier
