#include "lib/onnx_io/read_graph.h"

#include "lib/base/error.h"
#include "lib/onnx_io/order.h"
#include "lib/onnx_io/read_attribute.h"
#include "lib/onnx_io/tensor_proto.h"
#include "lib/onnx_io/type_proto.h"
#include "lib/onnx_io/validate.h"
#include "lib/onnx_io/wire.h"

namespace espalier::onnx_io {
namespace {

[[noreturn]] void fail(const std::string& why) { throw Error(ErrorKind::bad_data, why); }

/// Reads one graph; bodies are read by readers of their own that look names up in `outer`. A value is added when it is made,
/// so that what the graph knows is what can be used.
class GraphReader {
 public:
  GraphReader(const ReadContext& context, const GraphReader* outer)
      : context_(context), outer_(outer), depth_(outer ? outer->depth_ + 1 : 0) {}

  Graph read(onnx::GraphProto& proto) {
    if (depth_ > kMaxGraphDepth) fail("graph '" + proto.name() + "' is nested too deep, expected at most 32 levels");
    graph_.name = proto.name();
    graph_.opsets = context_.opsets;
    for (const auto& input : proto.input()) {
      graph_.inputs.push_back(make(input.name(), "graph input"));
      graph_.value(graph_.inputs.back()).type = read_type(input.type());
    }
    for (auto& tensor : *proto.mutable_initializer()) initializer(tensor);
    for (const auto& sparse : proto.sparse_initializer()) {
      graph_.value(make(sparse.values().name(), "sparse initializer")).carried = true;
    }
    require_fresh_outputs(proto);
    const std::vector<int> order = execution_order(proto);
    for (const int i : order) node(*proto.mutable_node(i));
    outputs(proto);
    value_info(proto);
    proto.clear_node();
    proto.clear_initializer();
    check_all_tensors(proto, "graph '" + graph_.name + "'", context_.files);
    if (proto.has_name()) proto.set_name("");
    graph_.rest = strays_ + kRestMark + proto.SerializeAsString();
    return std::move(graph_);
  }

 private:
  // Said here, because the order of the nodes would call it a cycle.
  void require_fresh_outputs(const onnx::GraphProto& proto) const {
    for (const auto& n : proto.node()) {
      for (const std::string& output : n.output()) {
        if (graph_.find_value(output) != kNone) fail("node '" + n.name() + "' (" + n.op_type() + "): output '" + output + "' is made a second time");
      }
    }
  }

  ValueId make(const std::string& name, const std::string& maker) {
    if (name.empty()) fail(maker + " has no name");
    for (const GraphReader* r = outer_; r; r = r->outer_) {
      if (r->graph_.find_value(name) != kNone) fail(maker + " '" + name + "' shadows a value of an enclosing graph");
    }
    if (graph_.find_value(name) != kNone) fail(maker + " '" + name + "' is made a second time");
    return graph_.add_value(name);
  }

  ValueId use(const std::string& name, const std::string& user) {
    const ValueId here = graph_.find_value(name);
    if (here != kNone) return here;
    for (const GraphReader* r = outer_; r; r = r->outer_) {
      if (r->graph_.find_value(name) == kNone) continue;
      const ValueId id = graph_.add_value(name);
      graph_.value(id).captured = true;
      return id;
    }
    fail(user + " '" + name + "' is made by no node, input or initializer before it is used");
  }

  void initializer(onnx::TensorProto& proto) {
    const std::string name = proto.name();
    const ValueId known = graph_.find_value(name);
    const bool is_input = known != kNone && !graph_.initializer(known);
    const ValueId id = is_input ? known : make(name, "initializer");
    Form form;
    Tensor tensor = open_tensor(proto, "initializer '" + name + "'", context_.files, form);
    if (proto.has_name()) proto.set_name("");
    graph_.set_initializer(id, Initializer{std::move(tensor), static_cast<char>(form) + proto.SerializeAsString()});
  }

  void node(onnx::NodeProto& proto) {
    Node n;
    n.op_type = proto.op_type();
    n.name = proto.name();
    n.domain = canonical_domain(proto.domain());
    const std::string where = n.where();
    if (n.op_type.empty()) fail(where + ": has no operator");
    if (n.domain == kInternalDomain) fail(where + ": domain '" + n.domain + "' is not for files");
    const auto imported = context_.opsets.find(n.domain);
    n.version = imported == context_.opsets.end() ? 0 : imported->second;
    for (const std::string& input : proto.input()) {
      n.inputs.push_back(input.empty() ? kNone : use(input, where + ": input"));
    }
    attributes(proto, where, n);
    for (const std::string& output : proto.output()) {
      n.outputs.push_back(output.empty() ? kNone : make(output, where + ": output"));
    }
    check_arity(n);
    proto.clear_input();
    proto.clear_output();
    proto.clear_attribute();
    if (proto.has_name()) proto.set_name("");
    if (proto.has_op_type()) proto.set_op_type("");
    n.rest = proto.SerializeAsString();
    graph_.add_node(std::move(n));
  }

  void attributes(onnx::NodeProto& proto, const std::string& where, Node& n) {
    const ReadBody body = [this](onnx::GraphProto& g) {
      return std::make_shared<const Graph>(GraphReader(context_, this).read(g));
    };
    for (auto& a : *proto.mutable_attribute()) {
      if (a.name().empty()) fail(where + ": attribute has no name");
      if (n.has(a.name())) fail(where + ": attribute '" + a.name() + "' is given twice");
      n.attributes.push_back(read_attribute(a, where, context_.files, body));
    }
  }

  // The first of input, output and value_info that has a type gives it.
  void set_type(ValueId id, const onnx::ValueInfoProto& info) {
    Value& value = graph_.value(id);
    if (value.type.kind == Type::Kind::unknown) value.type = read_type(info.type());
  }

  void outputs(const onnx::GraphProto& proto) {
    for (const auto& output : proto.output()) {
      graph_.outputs.push_back(use(output.name(), "graph output"));
      set_type(graph_.outputs.back(), output);
    }
  }

  void value_info(const onnx::GraphProto& proto) {
    for (int i = 0; i < proto.value_info_size(); ++i) {
      const ValueId id = graph_.find_value(proto.value_info(i).name());
      if (id == kNone) {
        strays_ += std::to_string(i) + ",";
        continue;
      }
      graph_.value(id).declared = true;
      set_type(id, proto.value_info(i));
    }
  }

  const ReadContext& context_;
  const GraphReader* outer_;
  int depth_;
  Graph graph_;
  std::string strays_;  // entries of value_info that name nothing
};

}  // namespace

std::string canonical_domain(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

Graph read_graph(onnx::GraphProto& proto, const ReadContext& context) { return GraphReader(context, nullptr).read(proto); }

}  // namespace espalier::onnx_io
