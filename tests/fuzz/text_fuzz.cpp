// Any text is parsed or refused with an error that is not ours; what was parsed prints to the same graph.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string_view>

#include "lib/base/error.h"
#include "lib/graph/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace espalier;
  Graph graph;
  try {
    graph = parse_graph({reinterpret_cast<const char*>(data), size});
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::internal) std::abort();
    return 0;
  }
  const Graph again = parse_graph(print_graph(graph, {.max_elements = -1}));
  if (!same_graph(graph, again)) std::abort();
  return 0;
}
