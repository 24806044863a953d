#include "lib/onnx_io/write_graph.h"

#include <bit>
#include <charconv>
#include <set>
#include <unordered_map>

#include "lib/base/error.h"
#include "lib/onnx_io/read_graph.h"
#include "lib/onnx_io/tensor_proto.h"
#include "lib/onnx_io/type_proto.h"

namespace espalier::onnx_io {
namespace {

using onnx::AttributeProto;
using google::protobuf::RepeatedPtrField;

constexpr size_t kExternalFrom = 1024;  // bytes; smaller tensors stay inside

/// Gives a tensor the form it was read in; raw data where it was made here.
void place_tensor(const Tensor& tensor, char form, const WriteContext& context, onnx::TensorProto& proto) {
  const bool was_outside = form == static_cast<char>(Form::external);
  const bool outside = context.external && tensor.type() != DataType::string &&
                       (was_outside || (context.all_external && tensor.bytes().size() >= kExternalFrom));
  if (outside) {
    write_tensor(tensor, Form::external, proto);
    context.external->add(proto, tensor);
    return;
  }
  if (was_outside) proto.clear_external_data();
  write_tensor(tensor, form == static_cast<char>(Form::typed) ? Form::typed : Form::raw, proto);
}

/// Writes one attribute.
class AttributeWriter {
 public:
  AttributeWriter(const Attribute& attribute, const WriteContext& context, AttributeProto& proto)
      : attribute_(attribute), context_(context), proto_(proto) {}

  void write() {
    const size_t mark = attribute_.rest.find(kRestMark);
    loaded_ = mark != std::string::npos;
    if (loaded_) {
      forms_ = attribute_.rest.substr(0, mark);
      restore(attribute_.rest.substr(mark + 1), proto_);
    }
    proto_.set_name(attribute_.name);
    std::visit([this](const auto& value) { set(value); }, attribute_.value);
  }

 private:
  // Files older than IR 2 may leave the type out; a value of zero may have been left out too.
  void set_type(AttributeProto::AttributeType type) {
    if (!loaded_ || proto_.has_type()) proto_.set_type(type);
  }

  void set(std::monostate) { check(loaded_, "an attribute with a value: " + attribute_.name); }
  void set(int64_t value) {
    set_type(AttributeProto::INT);
    if (value != 0 || !loaded_ || proto_.has_i()) proto_.set_i(value);
  }
  void set(float value) {
    set_type(AttributeProto::FLOAT);
    if (std::bit_cast<uint32_t>(value) != 0 || !loaded_ || proto_.has_f()) proto_.set_f(value);
  }
  void set(const std::string& value) {
    set_type(AttributeProto::STRING);
    if (!value.empty() || !loaded_ || proto_.has_s()) proto_.set_s(value);
  }
  void set(const Tensor& value) {
    set_type(AttributeProto::TENSOR);
    place_tensor(value, form(0), context_, *proto_.mutable_t());
  }
  void set(const Body& value) {
    set_type(AttributeProto::GRAPH);
    write_graph(*value, context_, *proto_.mutable_g());
  }
  void set(const std::vector<int64_t>& values) {
    set_type(AttributeProto::INTS);
    proto_.mutable_ints()->Assign(values.begin(), values.end());
  }
  void set(const std::vector<float>& values) {
    set_type(AttributeProto::FLOATS);
    proto_.mutable_floats()->Assign(values.begin(), values.end());
  }
  void set(const std::vector<std::string>& values) {
    set_type(AttributeProto::STRINGS);
    proto_.mutable_strings()->Assign(values.begin(), values.end());
  }
  void set(const std::vector<Tensor>& values) {
    set_type(AttributeProto::TENSORS);
    auto& list = *proto_.mutable_tensors();
    if (list.size() != static_cast<int>(values.size())) list.Clear();
    while (list.size() < static_cast<int>(values.size())) list.Add();
    for (size_t i = 0; i < values.size(); ++i) place_tensor(values[i], form(i), context_, list[static_cast<int>(i)]);
  }
  void set(const std::vector<Body>& values) {
    set_type(AttributeProto::GRAPHS);
    proto_.clear_graphs();
    for (const Body& body : values) write_graph(*body, context_, *proto_.add_graphs());
  }

  char form(size_t i) const { return i < forms_.size() ? forms_[i] : static_cast<char>(Form::raw); }

  const Attribute& attribute_;
  const WriteContext& context_;
  AttributeProto& proto_;
  bool loaded_ = false;
  std::string forms_;
};

/// Entries of graph.input, output or value_info as they were read, by name; each is given away once.
class Entries {
 public:
  explicit Entries(RepeatedPtrField<onnx::ValueInfoProto>* list) {
    list_.Swap(list);
    for (int i = 0; i < list_.size(); ++i) by_name_[list_[i].name()].push_back(i);
  }
  const RepeatedPtrField<onnx::ValueInfoProto>& list() const { return list_; }
  const onnx::ValueInfoProto* first(const std::string& name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &list_[found->second.front()];
  }
  const onnx::ValueInfoProto* next(const std::string& name) {
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) return nullptr;
    auto& positions = found->second;
    const int i = positions.front();
    if (positions.size() > 1) positions.erase(positions.begin());
    return &list_[i];
  }

 private:
  RepeatedPtrField<onnx::ValueInfoProto> list_;
  std::unordered_map<std::string, std::vector<int>> by_name_;
};

class GraphWriter {
 public:
  GraphWriter(const Graph& graph, const WriteContext& context, onnx::GraphProto& proto)
      : graph_(graph), context_(context), proto_(proto) {}

  void write() {
    const size_t mark = graph_.rest.find(kRestMark);
    if (mark != std::string::npos) restore(graph_.rest.substr(mark + 1), proto_);
    if (!graph_.name.empty() || graph_.rest.empty()) proto_.set_name(graph_.name);
    Entries inputs(proto_.mutable_input()), outputs(proto_.mutable_output()), infos(proto_.mutable_value_info());
    lists_ = {&inputs, &outputs, &infos};
    for (const NodeId id : graph_.nodes()) node(graph_.node(id), *proto_.add_node());
    for (const auto& [id, initializer] : graph_.initializers()) {
      this->initializer(graph_.value(id).name, initializer, *proto_.add_initializer());
    }
    for (const ValueId id : graph_.inputs) entry(graph_.value(id), inputs.next(graph_.value(id).name), *proto_.add_input());
    for (const ValueId id : graph_.outputs) entry(graph_.value(id), outputs.next(graph_.value(id).name), *proto_.add_output());
    value_info(infos);
  }

 private:
  void node(const Node& n, onnx::NodeProto& proto) {
    if (n.domain == kInternalDomain) {
      throw Error(ErrorKind::internal, n.where() + ": operators of domain '" + n.domain + "' cannot be saved");
    }
    restore(n.rest, proto);
    proto.set_op_type(n.op_type);
    if (!n.name.empty()) proto.set_name(n.name);
    if (n.domain != canonical_domain(proto.domain())) proto.set_domain(n.domain);
    for (const ValueId v : n.inputs) proto.add_input(v == kNone ? "" : graph_.value(v).name);
    for (const ValueId v : n.outputs) proto.add_output(v == kNone ? "" : graph_.value(v).name);
    for (const Attribute& a : n.attributes) AttributeWriter(a, context_, *proto.add_attribute()).write();
  }

  void initializer(const std::string& name, const Initializer& initializer, onnx::TensorProto& proto) {
    char form = static_cast<char>(Form::raw);
    if (!initializer.rest.empty()) {
      form = initializer.rest[0];
      restore(initializer.rest.substr(1), proto);
    }
    proto.set_name(name);
    place_tensor(initializer.tensor, form, context_, proto);
  }

  // An entry is written as it was read unless the value's type was changed since.
  void entry(const Value& value, const onnx::ValueInfoProto* read, onnx::ValueInfoProto& proto) {
    if (read) proto = *read;
    else proto.set_name(value.name);
    if (!value.type.same_as(type_when_read(value.name))) write_type(value.type, *proto.mutable_type());
  }

  Type type_when_read(const std::string& name) const {
    for (const Entries* list : lists_) {
      const auto* read = list->first(name);
      if (!read) continue;
      Type type = read_type(read->type());
      if (type.kind != Type::Kind::unknown) return type;
    }
    return {};
  }

  bool alive(ValueId id) const {
    const Value& v = graph_.value(id);
    return v.captured || v.carried || graph_.producer(id) != kNone || graph_.is_input(id) || graph_.initializer(id);
  }

  // Entries that named nothing already when they were read; they stay.
  std::set<int> stray_entries() const {
    std::set<int> result;
    const char* at = graph_.rest.data();
    const char* const end = at + std::min(graph_.rest.find(kRestMark), graph_.rest.size());
    for (int i = 0; at < end; ++at) {
      at = std::from_chars(at, end, i).ptr;
      result.insert(i);
    }
    return result;
  }

  // First those of the file, in its order; then new ones.
  void value_info(Entries& infos) {
    std::vector<bool> written(graph_.value_count(), false);
    const std::set<int> strays = stray_entries();
    for (int i = 0; i < infos.list().size(); ++i) {
      const auto& read = infos.list()[i];
      const ValueId id = graph_.find_value(read.name());
      if (id == kNone) {
        if (strays.contains(i)) *proto_.add_value_info() = read;
      } else if (graph_.value(id).declared && alive(id)) {
        entry(graph_.value(id), &read, *proto_.add_value_info());
        written[static_cast<size_t>(id)] = true;
      }
    }
    for (size_t i = 0; i < written.size(); ++i) {
      const auto id = static_cast<ValueId>(i);
      if (!written[i] && graph_.value(id).declared && alive(id)) entry(graph_.value(id), nullptr, *proto_.add_value_info());
    }
  }

  const Graph& graph_;
  const WriteContext& context_;
  onnx::GraphProto& proto_;
  std::vector<const Entries*> lists_;
};

}  // namespace

void restore(const std::string& rest, google::protobuf::Message& message) {
  check(message.ParseFromString(rest), "a rest string of lib/onnx_io");
}

void write_graph(const Graph& graph, const WriteContext& context, onnx::GraphProto& proto) {
  GraphWriter(graph, context, proto).write();
}

}  // namespace espalier::onnx_io
