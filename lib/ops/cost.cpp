#include "lib/ops/cost.h"

namespace espalier {

int64_t known_elements(const Type& type) {
  const auto dims = type.known_dims();
  return dims ? element_count(*dims) : 0;
}

int64_t known_bytes(const Type& type) {
  const auto dims = type.known_dims();
  return dims ? byte_count(type.elem_type, *dims) : 0;
}

int64_t known_traffic(const InferContext& c) {
  int64_t bytes = 0;
  for (size_t i = 0; i < c.input_count(); ++i) bytes = checked_add(bytes, known_bytes(c.type(i)));
  for (size_t i = 0; i < c.output_count(); ++i) bytes = checked_add(bytes, known_bytes(c.output(i).type));
  return bytes;
}

}  // namespace espalier
