#include "lib/runtime/parameter_store.h"

#include <cstring>
#include <optional>

#include "lib/base/error.h"
#include "lib/kernels/reorder.h"

namespace espalier {
namespace {

/// Memory in one layout, and the reorder that fills it from the master.
struct Copy {
  Layout layout;
  AlignedBuffer buffer;
  std::unique_ptr<Kernel> from_master;
};

void run_reorder(const Layout& from, const void* source, const Layout& to, void* target) {
  if (from == to) {
    std::memcpy(target, source, to.bytes());
    return;
  }
  Primitive primitive = reorder(from, to);
  AlignedBuffer scratch(primitive.scratch_bytes);
  std::vector<void*> args = {const_cast<void*>(source), target};
  if (primitive.scratch_bytes > 0) args.push_back(scratch.data());
  primitive.kernel->bind(args);
  primitive.kernel->run();
}

class CopyKernel : public Kernel {
 public:
  explicit CopyKernel(size_t bytes) : bytes_(bytes) {}
  void bind(std::span<void* const> args) override { from_ = args[0], to_ = args[1]; }
  void run() override { std::memcpy(to_, from_, bytes_); }

 private:
  size_t bytes_;
  void *from_ = nullptr, *to_ = nullptr;
};

}  // namespace

struct ParameterStore::Entry {
  std::string name;
  DataType type;
  Dims dims;
  Layout master_layout;
  AlignedBuffer master;
  std::vector<std::unique_ptr<Copy>> copies;
  AlignedBuffer grad;
  bool trained = false;
  bool master_lent = false;  ///< its address is in use: its layout can no longer change

  void connect(Copy& copy) {
    if (copy.layout == master_layout) {
      copy.from_master = std::make_unique<CopyKernel>(copy.layout.bytes());
    } else {
      Primitive primitive = reorder(master_layout, copy.layout);
      check(primitive.scratch_bytes == 0, "a reorder of a weight needs no scratchpad");
      copy.from_master = std::move(primitive.kernel);
    }
    void* const args[] = {master.data(), copy.buffer.data()};
    copy.from_master->bind(args);
    copy.from_master->run();
  }
};

ParameterStore::ParameterStore() = default;
ParameterStore::~ParameterStore() = default;
ParameterStore::ParameterStore(ParameterStore&&) noexcept = default;
ParameterStore& ParameterStore::operator=(ParameterStore&&) noexcept = default;

void ParameterStore::add(const Graph& graph) {
  for (const auto& [id, initializer] : graph.initializers()) {
    const std::string& name = graph.value(id).name;
    const Tensor& tensor = initializer.tensor;
    if (bit_width(tensor.type()) < 8 || entries_.contains(name)) continue;
    auto entry = std::make_unique<Entry>();
    entry->name = name;
    entry->type = tensor.type();
    entry->dims = tensor.dims();
    entry->master_layout = Layout::plain(tensor.type(), tensor.dims());
    entry->master = AlignedBuffer(std::max<size_t>(tensor.bytes().size(), 1));
    if (!tensor.bytes().empty()) std::memcpy(entry->master.data(), tensor.bytes().data(), tensor.bytes().size());
    entries_.emplace(name, std::move(entry));
  }
}

bool ParameterStore::contains(const std::string& name) const { return entries_.contains(name); }

ParameterStore::Entry& ParameterStore::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  check(found != entries_.end(), "a parameter that the store holds: " + name);
  return *found->second;
}

Tensor ParameterStore::get(const std::string& name) const {
  const Entry& e = entry(name);
  Tensor result(e.type, e.dims);
  run_reorder(e.master_layout, e.master.data(), Layout::plain(e.type, e.master_layout.dims()),
              result.mutable_bytes().data());
  return result;
}

void ParameterStore::set(const std::string& name, const Tensor& value) {
  Entry& e = entry(name);
  check(value.type() == e.type && value.dims() == e.dims, "a value of the parameter's type and dims: " + name);
  run_reorder(Layout::plain(e.type, e.master_layout.dims()), value.bytes().data(), e.master_layout, e.master.data());
}

std::vector<ParameterBlock> ParameterStore::trained() {
  std::vector<ParameterBlock> blocks;
  for (const auto& [name, e] : entries_) {
    if (!e->trained) continue;
    blocks.push_back({&e->name, &e->dims, reinterpret_cast<float*>(e->master.data()),
                      reinterpret_cast<float*>(e->grad.data()), e->master_layout.padded_count()});
  }
  return blocks;
}

void ParameterStore::refresh() {
  for (const auto& [name, e] : entries_) {
    for (const auto& copy : e->copies) copy->from_master->run();
  }
}

void* ParameterStore::copy(const std::string& name, const Layout& layout) {
  Entry& e = entry(name);
  if (layout == e.master_layout && (e.master_lent || e.trained)) return e.master.data();
  for (const auto& copy : e.copies) {
    if (copy->layout == layout) return copy->buffer.data();
  }
  auto copy = std::make_unique<Copy>();
  copy->layout = layout;
  copy->buffer = AlignedBuffer(layout.bytes());
  e.connect(*copy);
  e.copies.push_back(std::move(copy));
  return e.copies.back()->buffer.data();
}

std::pair<void*, Layout> ParameterStore::gradient(const std::string& name, const Layout& layout) {
  Entry& e = entry(name);
  check(e.type == DataType::float32, "a float parameter to train: " + name);
  if (!e.trained) {
    e.trained = true;
    if (!e.master_lent && !(layout == e.master_layout)) {
      AlignedBuffer fresh(layout.bytes());
      run_reorder(e.master_layout, e.master.data(), layout, fresh.data());
      e.master = std::move(fresh);
      e.master_layout = layout;
      for (const auto& copy : e.copies) e.connect(*copy);
    }
    e.grad = AlignedBuffer(e.master_layout.bytes());
  }
  return {e.grad.data(), e.master_layout};
}

void* ParameterStore::state(const std::string& name) {
  Entry& e = entry(name);
  check(e.master_layout.is_plain(), "a state in plain layout: " + name);
  e.master_lent = true;
  return e.master.data();
}

int64_t ParameterStore::weight_reorders() const {
  int64_t count = 0;
  for (const auto& [name, e] : entries_) {
    for (const auto& copy : e->copies) count += !(copy->layout == e->master_layout);
  }
  return count;
}

}  // namespace espalier
