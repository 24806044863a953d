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

bool lower_product(LowerContext& c, size_t a, bool transpose_a, size_t b, bool transpose_b, float alpha) {
  MatMulProblem p;
  p.transpose_a = transpose_a;
  p.transpose_b = transpose_b;
  p.c = c.output_dims(0);
  const int64_t inner = c.dims(a)[transpose_a ? 0 : 1];
  p.a = {p.c[0], inner};
  p.b = {inner, p.c[1]};
  p.alpha = alpha;
  p.activations = c.fusion().activations;
  Primitive step = matmul(p);
  const auto plain = [&](size_t i) { return c.read(i, Layout::plain(DataType::float32, c.dims(i))); };
  const std::vector<Operand> args = {plain(a), plain(b), c.write(0, step.args.back())};
  c.step(std::move(step), args);
  return true;
}

}  // namespace espalier
