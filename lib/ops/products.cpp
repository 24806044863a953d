#include "lib/ops/products.h"

#include "lib/kernels/matrix.h"

namespace espalier {

bool lower_layer(LowerContext& c, bool transposed) {
  InnerProductProblem p;
  const int64_t features = c.dims(0).back();
  const Dims rows = {element_count(c.dims(0)) / features, features};
  Layout src = c.layout(0);
  if (src.is_plain() || c.dims(0).size() > 2 || src.dims()[0] != rows[0]) src = Layout::plain(DataType::float32, rows);
  p.src = src.dims();
  p.weights = c.dims(1);
  p.weights_transposed = transposed;
  p.bias = c.has_input(2) || c.fusion().bias;
  p.activations = c.fusion().activations;
  p.training = c.training();
  Primitive step = inner_product_forward(p, src);
  std::vector<Operand> args = {c.read(0, src), c.read(1, step.args[1])};
  if (p.bias) args.push_back(c.fusion().bias ? c.bias() : c.read(2, step.args[2]));
  args.push_back(c.write(0, Layout::plain(DataType::float32, c.output_dims(0))));
  if (p.training) c.keep_hint(step.hint);
  c.step(std::move(step), args);
  return true;
}

namespace {

/// y = activations(y + beta * addend), in y's own memory.
void add(LowerContext& c, Operand y, const Dims& result, const Addend& addend) {
  const Dims own = c.dims(addend.input);
  const Dims steps = row_major_strides(own);
  ElementOperand operand{ElementOperand::Kind::strided, 0, Dims(result.size(), 0)};
  const size_t lead = result.size() - own.size();
  for (size_t i = 0; i < own.size(); ++i) operand.strides[lead + i] = own[i] == 1 ? 0 : steps[i];
  if (element_count(own) == 1) operand = {ElementOperand::Kind::scalar, 0, {}};
  std::vector<ElementStep> chain = {{{ElementKind::scale_shift, addend.beta, 0}, 1, 1, 2}, {{ElementKind::add}, 0, 2, 3}};
  for (const ElementOp& op : c.fusion().activations) chain.push_back({op, chain.back().target, chain.back().target, chain.back().target + 1});
  const Operand extra = c.read(addend.input, Layout::plain(DataType::float32, own));
  const Layout layout = Layout::plain(DataType::float32, result);
  c.step(element_chain(layout, {{ElementOperand::Kind::full, 0, {}}, operand}, chain), {y, extra, y}, "chain");
}

}  // namespace

bool lower_product(LowerContext& c, size_t a, bool transpose_a, size_t b, bool transpose_b, float alpha, std::optional<Addend> addend) {
  MatMulProblem p;
  p.transpose_a = transpose_a;
  p.transpose_b = transpose_b;
  p.c = c.output_dims(0);
  const int64_t inner = c.dims(a)[transpose_a ? 0 : 1];
  p.a = {p.c[0], inner};
  p.b = {inner, p.c[1]};
  p.alpha = alpha;
  if (!addend) p.activations = c.fusion().activations;
  Primitive step = matmul(p);
  const auto plain = [&](size_t i) { return c.read(i, Layout::plain(DataType::float32, c.dims(i))); };
  const std::vector<Operand> args = {plain(a), plain(b), c.write(0, step.args.back())};
  c.step(std::move(step), args);
  if (addend) add(c, args.back(), p.c, *addend);
  return true;
}

}  // namespace espalier
