// ONNX's conformance cases with one number made extreme: each integer and float of each attribute, each element of each
// short input, each size that an input declares. Whatever the number, inference (which folds what is constant), unit ids, cost and a plan's run end in a result
// or in an Error that is not `internal`, soon and in little memory. Built with the sanitizers it finds overflowing arithmetic.
//
//   extremes [-share=N] [-all] [FILTER]
//
// -share=N runs every N-th mutation of a case, -all also says what each case did, FILTER is a part of the cases' names. Each
// case is a process of its own; one that crashes, hangs or asks for too much is named with the number that did it.

#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "lib/analysis/cost.h"
#include "lib/analysis/infer.h"
#include "lib/analysis/unit_groups.h"
#include "lib/base/error.h"
#include "lib/onnx_io/load.h"
#include "lib/ops/op.h"
#include "lib/runtime/plan.h"
#include "tests/conformance/cases.h"
#include "tests/support/environment.h"

namespace {

constexpr time_t kSeconds = 20;  // a mutation
constexpr rlim_t kBytes = rlim_t{6} << 30;
constexpr int64_t kShort = 8;  // elements of an input that are changed
char current[512] = "";

void say_current() {
  (void)!write(STDERR_FILENO, current, std::strlen(current));
  (void)!write(STDERR_FILENO, "\n", 1);
}

}  // namespace

// The sanitizers call these where they are linked.
extern "C" void __ubsan_on_report();
extern "C" void __asan_on_error();
extern "C" const char* __asan_default_options();
extern "C" [[gnu::weak]] void __asan_init();
void __ubsan_on_report() { say_current(); }
void __asan_on_error() { say_current(); }
const char* __asan_default_options() { return "detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=4096"; }

namespace espalier::testing {
namespace {

constexpr int64_t kIntegers[] = {std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min(), int64_t{1} << 62,
                                 -(int64_t{1} << 62), int64_t{1} << 40, std::numeric_limits<int32_t>::max(),
                                 std::numeric_limits<int32_t>::min(), -1, 0, 1, 7};
constexpr double kFloats[] = {NAN, INFINITY, -INFINITY, 3e38, -3e38, 1e10, -1, 0, 1e-38};

/// One case: the sound graph, what it is fed, and what it is changed to.
class Extremes {
 public:
  Extremes(std::string name, Graph graph, Values feeds, int share) : name_(std::move(name)), graph_(std::move(graph)), feeds_(std::move(feeds)), share_(share) {}

  int run() {
    for (const NodeId id : std::vector<NodeId>(graph_.nodes().begin(), graph_.nodes().end())) {
      for (const Attribute& attribute : std::vector<Attribute>(graph_.node(id).attributes)) change(id, attribute);
    }
    for (const auto& [name, value] : Values(feeds_)) {
      if (value.is_tensor() && value.tensor().size() <= kShort) change(name, value.tensor());
    }
    for (const ValueId v : graph_.inputs) change_sizes(v);
    return runs_;
  }

 private:
  void change_sizes(ValueId v) {
    const Value& input = graph_.value(v);
    for (size_t axis = 0; input.type.dims && axis < input.type.dims->size(); ++axis) {
      for (const int64_t size : kIntegers) {
        if (size < 0 || !next(input.name + "'s size", static_cast<double>(size))) continue;
        Graph graph = graph_;
        (*graph.value(v).type.dims)[axis] = Dim(size);
        attempt([&] { graph_cost(graph, infer(graph)); });
        attempt([&] { assign_units(graph); });
      }
    }
  }

  void change(NodeId id, const Attribute& attribute) {
    const auto with = [&](Attribute::Value value, auto number) {
      Graph graph = graph_;
      graph.set_attribute(id, attribute.name, std::move(value));
      check(graph, feeds_, attribute.name, static_cast<double>(number));
    };
    const auto each = [&](auto values, const auto& extremes) {
      for (size_t i = 0; i < std::min<size_t>(values.size(), kShort); ++i) {
        for (const auto number : extremes) {
          auto changed = values;
          changed[i] = static_cast<typename decltype(values)::value_type>(number);
          with(changed, number);
        }
      }
    };
    if (std::holds_alternative<int64_t>(attribute.value)) {
      for (const int64_t number : kIntegers) with(number, number);
    } else if (std::holds_alternative<float>(attribute.value)) {
      for (const double number : kFloats) with(static_cast<float>(number), number);
    } else if (const auto* integers = std::get_if<std::vector<int64_t>>(&attribute.value)) {
      each(*integers, kIntegers);
    } else if (const auto* floats = std::get_if<std::vector<float>>(&attribute.value)) {
      each(*floats, kFloats);
    }
  }

  void change(const std::string& name, const Tensor& tensor) {
    const auto each = [&](const Tensor& wide, const auto& extremes) {
      for (int64_t i = 0; i < wide.size(); ++i) {
        for (const auto number : extremes) {
          Tensor changed = wide;
          changed.mutable_data<std::decay_t<decltype(number)>>()[i] = number;
          Values feeds = feeds_;
          feeds[name] = changed.cast(tensor.type());
          check(graph_, feeds, name, static_cast<double>(number));
        }
      }
    };
    if (is_integer(tensor.type())) each(tensor.cast(DataType::int64), kIntegers);
    else if (is_float(tensor.type())) each(tensor.cast(DataType::float64), kFloats);
  }

  void check(const Graph& graph, const Values& feeds, const std::string& what, double number) {
    if (!next(what, number)) return;
    Graph constant = graph;
    for (const auto& [name, value] : feeds) {
      const ValueId v = graph.find_value(name);
      if (v != kNone && value.is_tensor()) constant.set_initializer(v, value.tensor());
    }
    attempt([&] { infer(constant); });
    attempt([&] {
      const FactTable facts = infer(graph);
      graph_cost(graph, facts);
      assign_units(graph);
    });
    attempt([&] { assign_units(constant); });
    attempt([&] { run_plan(graph, constant, feeds); });
  }

  /// Whether this mutation is one of the share; then it is the current one.
  bool next(const std::string& what, double number) {
    if (count_++ % share_ != 0) return false;
    ++runs_;
    std::snprintf(current, sizeof current, "extremes: %s, %s = %g", name_.c_str(), what.c_str(), number);
    const itimerval limit{{}, {kSeconds, 0}};  // of the processor's time: the machine may be busy
    setitimer(ITIMER_PROF, &limit, nullptr);
    return true;
  }

  /// Integer inputs are constants, so that their sizes are known; only plans that make little run.
  void run_plan(const Graph& graph, const Graph& constant, const Values& feeds) {
    Graph partly = graph;
    CompileOptions options;
    options.frozen = true;
    Values left;
    for (const auto& [name, value] : feeds) {
      if (!value.is_tensor()) return;
      if (value.tensor().type() == DataType::float32) {
        left[name] = value;
        options.input_shapes[name] = value.tensor().dims();
      } else {
        partly.set_initializer(graph.find_value(name), value.tensor());
      }
    }
    const FactTable facts = infer(constant);
    for (size_t v = 0; v < facts.size(); ++v) {
      const auto dims = facts.type(static_cast<ValueId>(v)).known_dims();
      if (dims && element_count(*dims) > 1 << 20) return;
    }
    ParameterStore store;
    Plan plan(partly, store, options);
    if (!plan.is_static()) return;
    for (const auto& [name, value] : left) plan.feed(name, value.tensor());
    plan.run();
  }

  template <class Body>
  void attempt(Body body) {
    try {
      body();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::internal) return;
      say_current();
      std::fprintf(stderr, "  internal: %s\n", error.what());
      std::abort();
    } catch (const std::bad_alloc&) {
    }
  }

  std::string name_;
  Graph graph_;
  Values feeds_;
  int share_;
  int64_t count_ = 0;
  int runs_ = 0;
};

/// What the case feeds; nothing where a node is not ours, or may go on for ever.
Values feeds_of(const Case& which, const Model& model) {
  for (const NodeId id : model.graph.nodes()) {
    const Node& node = model.graph.node(id);
    if (!find_op(node) || node.op_type == "Loop") return {};
  }
  Values result;
  run_case(which, model, [&](const Model&, const Values& feeds) -> Values {
    if (result.empty()) result = feeds;
    throw Error(ErrorKind::bad_data, "only asked for its feeds");
  });
  return result;
}

int run_alone(const Case& which, int share) {
  try {
    const Model model = load_model(which.folder / "model.onnx");
    return Extremes(which.name, model.graph, feeds_of(which, model), share).run();
  } catch (const Error&) {
    return 0;
  }
}

}  // namespace
}  // namespace espalier::testing

int main(int argc, char** argv) {
  using namespace espalier::testing;
  int share = 1;
  bool all = false;
  std::string filter;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with("-share=")) share = std::max(1, std::atoi(argv[i] + 7));
    else if (argument == "-all") all = true;
    else filter = argument;
  }
  if (onnx_testdata().empty()) {
    std::puts("skipped: libonnx-testdata is not installed");
    return 0;
  }
  int failed = 0, cases = 0;
  for (const Case& which : find_cases(onnx_testdata())) {
    if (which.name.find(filter) == std::string::npos) continue;
    ++cases;
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      std::signal(SIGPROF, [](int) { say_current(); _exit(3); });
      std::signal(SIGSEGV, [](int) { say_current(); _exit(4); });
      std::signal(SIGFPE, [](int) { say_current(); _exit(5); });
      const rlimit limit{kBytes, kBytes};
      if (!__asan_init) setrlimit(RLIMIT_AS, &limit);  // a sanitizer's shadow memory is terabytes
      const int runs = run_alone(which, share);
      if (all) std::printf("%s: %d runs\n", which.name.c_str(), runs);
      std::fflush(stdout);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    ++failed;
    std::printf("FAILED %s: %s %d\n", which.name.c_str(), WIFEXITED(status) ? "exit" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
  }
  std::printf("%d of %d cases failed\n", failed, cases);
  return failed > 0 ? 1 : 0;
}
