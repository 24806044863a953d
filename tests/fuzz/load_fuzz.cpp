// Fuzzes what reads models. Input that begins with `graph` is text: it is parsed, printed, and, as ONNX, saved and loaded again.
// Other input is an ONNX file; and a list of edits (place, place, kind, byte) to a sound file with everything in it.
// Whatever comes, the only way out is a model or an Error that is not `internal`; a model survives saving and loading.
#include <onnx/onnx_pb.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "lib/base/error.h"
#include "lib/graph/text.h"
#include "lib/onnx_io/load.h"
#include "lib/onnx_io/save.h"

namespace {

using namespace espalier;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "load_fuzz: %s\n", what);
  std::abort();
}

/// Runs the body; an Error ends it unless it is a bug of ours.
template <class Body>
void attempt(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::internal) require(false, error.what());
  }
}

Model parse(const std::string& bytes) { return parse_model(std::as_bytes(std::span(bytes)), "/nonexistent"); }

void load(const std::string& bytes) {
  attempt([&] {
    const Model model = parse(bytes);
    const std::string saved = serialize_model(model);
    require(same_graph(model.graph, parse(saved).graph), "a loaded model changes when it is saved");
  });
}

void read_text(std::string_view text) {
  attempt([&] {
    const Graph graph = parse_graph(text);
    const std::string printed = print_graph(graph, {.max_elements = -1});
    require(print_graph(parse_graph(printed), {.max_elements = -1}) == printed, "a graph changes when it is printed");
  });
  attempt([&] { load(serialize_model(make_model(parse_graph(text)))); });
}

std::string sound_file() {
  onnx::ModelProto model;
  constexpr const char* text = R"(graph g (c: bool[], x: float[n,3]) -> (y: float[n,2], s: sequence(int64[])) opset 17 {
    w: float[3,2] = fill(1)
    k: int64[2] = {-1, 2}
    "fc": h = MatMul(x, w)
    r = Reshape(h, k) {allowzero = 0}
    y = If(c) {then_branch = graph () -> (t) { v: float[1] = {2}
                                               t = Mul(r, v) {mode = "m", f = 0.5, list = [1, 2], floats = [0.5]} },
               else_branch = graph () -> (e) { e = far.away::Op(r) {t = uint4[3] hex(2101), ts = [int8[1] {1}], ss = ["a"]} }}
    s = SequenceConstruct(k)
  })";
  model.ParseFromString(serialize_model(make_model(parse_graph(text))));
  auto* function = model.add_functions();
  function->set_name("f");
  function->set_domain("d");
  function->add_input("a");
  function->add_output("b");
  *function->add_node() = model.graph().node(0);
  function->mutable_node(0)->mutable_input()->Clear();
  function->mutable_node(0)->set_op_type("g");
  function->mutable_node(0)->set_domain("d");
  function->mutable_node(0)->set_output(0, "b");
  auto* sparse = model.mutable_graph()->add_sparse_initializer();
  sparse->mutable_values()->set_name("sp");
  sparse->mutable_values()->set_data_type(onnx::TensorProto::FLOAT);
  sparse->mutable_values()->add_dims(1);
  sparse->mutable_values()->add_float_data(1);
  sparse->mutable_indices()->set_data_type(onnx::TensorProto::INT64);
  sparse->mutable_indices()->add_dims(1);
  sparse->mutable_indices()->add_int64_data(2);
  sparse->add_dims(4);
  auto* entry = model.add_metadata_props();
  entry->set_key("key");
  return model.SerializeAsString();
}

void edit(std::string bytes, std::string_view edits) {
  for (; edits.size() >= 4 && !bytes.empty(); edits.remove_prefix(4)) {
    const size_t at = (static_cast<uint8_t>(edits[0]) * 256u + static_cast<uint8_t>(edits[1])) % bytes.size();
    switch (static_cast<uint8_t>(edits[2]) % 4) {
      case 0: bytes[at] = edits[3]; break;
      case 1: bytes[at] = static_cast<char>(bytes[at] ^ (1 << (static_cast<uint8_t>(edits[3]) % 8))); break;
      case 2: bytes.erase(at, static_cast<uint8_t>(edits[3]) % 8); break;
      default: bytes.insert(at, bytes.substr(at, static_cast<uint8_t>(edits[3]) % 32));
    }
    load(bytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string sound = [] {
    std::string bytes = sound_file();
    parse(bytes);  // must be sound
    return bytes;
  }();
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.starts_with("graph")) {
    read_text(input);
  } else {
    load(std::string(input));
    edit(sound, input.substr(0, 256));
  }
  return 0;
}
