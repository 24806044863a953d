#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "lib/onnx_io/load.h"
#include "lib/onnx_io/save.h"
#include "tests/support/environment.h"
#include "tests/tools/run_command.h"

namespace espalier::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kNet = R"(graph net (x: float[batch,1,6,6]) -> (y: float[batch,2]) {
  w: float[4,1,3,3] = fill(1)
  scale: float[4] = {1, 2, 1, 1}
  bias: float[4] = zeros
  mean: float[4] = {0.5, 0, 0, 0}
  var: float[4] = ones
  fc: float[64,2] = fill(2)
  fb: float[2] = {1, 2}
  c = Conv(x, w)
  n = BatchNormalization(c, scale, bias, mean, var)
  r = Relu(n)
  d = Dropout(r)
  f = Flatten(d)
  m = MatMul(f, fc)
  y = Add(m, fb)
}
)";

class Command : public ::testing::Test {
 protected:
  Command() { write_text(path("net.txt"), kNet); }
  std::string path(const std::string& file) const { return folder_ / file; }
  CommandResult run(const std::vector<std::string>& words, const std::string& before = "") const {
    return run_command(words, folder_.path().string(), before);
  }

  // Misuse: the exit code, one line of error, and perhaps a hint.
  void expect_error(const std::vector<std::string>& words, int exit_code, const std::string& message, const std::string& hint = "") const {
    const CommandResult result = run(words);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, StartsWith("espalier: error: "));
    EXPECT_THAT(result.err, HasSubstr(message));
    EXPECT_LE(std::count(result.err.begin(), result.err.end(), '\n'), 2) << result.err;
    EXPECT_THAT(result.err, HasSubstr(hint.empty() ? "" : "\nhint: " + hint));
  }

  TemporaryFolder folder_;
};

TEST_F(Command, ShowsHelpAndVersions) {
  const CommandResult help = run({"-h"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, StartsWith("  espalier info net.onnx\n"));
  EXPECT_THAT(help.out, HasSubstr("exit codes: 0 done"));
  const CommandResult versions = run({"--version"});
  EXPECT_EQ(versions.exit_code, 0);
  for (const char* library : {"espalier ", "onnx ", "protobuf ", "oneDNN ", "boost "}) EXPECT_THAT(versions.out, HasSubstr(library));
  for (const char* command : {"info", "optimize", "simplify", "compare", "ops", "passes"}) {
    const CommandResult one = run({command, "-h"});
    EXPECT_EQ(one.exit_code, 0) << one.err;
    EXPECT_THAT(one.out, StartsWith(std::string("  espalier ") + command));
    EXPECT_THAT(one.out, HasSubstr("--json FILE"));
  }
}

TEST_F(Command, RefusesWrongUsageWithAHint) {
  expect_error({"simplfy", "net.txt"}, 2, "unknown command 'simplfy'", "did you mean 'simplify'?");
  expect_error({"info", "net.txt", "--jsn", "-"}, 2, "unknown option '--jsn'", "did you mean '--json'?");
  expect_error({"info"}, 2, "missing MODEL");
  expect_error({"info", "net.txt", "other.txt"}, 2, "unexpected 'other.txt'");
  expect_error({"info", "net.txt", "--threads", "0"}, 2, "--threads is 0, expected at least 1");
  expect_error({"info", "net.txt", "--seed", "x"}, 2, "--seed");
  expect_error({"info", "net.txt", "--json"}, 2, "json");
  expect_error({"simplify", "net.txt"}, 2, "-o is missing");
  expect_error({"optimize", "net.txt", "-o", "out.onnx"}, 2, "--passes is missing");
  expect_error({"optimize", "net.txt", "-o", "out.onnx", "--passes", "simplify, fsue"}, 2, "column 11: unknown pass 'fsue'", "did you mean 'fuse'?");
  EXPECT_FALSE(fs::exists(path("out.onnx")));
}

TEST_F(Command, RefusesBadModelsWithThree) {
  write_text(path("broken.onnx"), "this is no model");
  write_text(path("broken.txt"), "graph g (x) -> (y) { y = Relu(z) }");
  expect_error({"info", "broken.onnx"}, 3, "");
  expect_error({"info", "broken.txt"}, 3, "z");
}

TEST_F(Command, SaysWhatItCannotReadOrWriteWithSix) {
  expect_error({"info", "absent.onnx"}, 6, "absent.onnx");
  expect_error({"simplify", "net.txt", "-o", "absent/out.onnx"}, 6, "folder 'absent' does not exist");
  expect_error({"simplify", "net.txt", "-o", "."}, 6, "is a folder");
  expect_error({"info", "net.txt", "--json", "absent/x.json"}, 6, "folder 'absent' does not exist");
  expect_error({"info", "net.txt", "--config", "absent"}, 6, "absent");
}

TEST_F(Command, NeverWritesOverItsInput) {
  save_model(make_model(load_any(path("net.txt")).graph), path("net.onnx"));
  fs::create_symlink("net.onnx", path("link.onnx"));
  fs::create_hard_link(path("net.onnx"), path("hard.onnx"));
  const std::string before = read_text(path("net.onnx"));
  for (const char* output : {"net.onnx", "./net.onnx", "link.onnx", "hard.onnx"}) {
    expect_error({"simplify", "net.onnx", "-o", output}, 2, "names the input");
  }
  expect_error({"info", "net.onnx", "--json", "net.onnx"}, 2, "names the input");
  EXPECT_EQ(read_text(path("net.onnx")), before);
}

TEST_F(Command, SimplifiesAndSaysWhatItDid) {
  const CommandResult result = run({"simplify", "net.txt", "-o", "out.onnx", "--json", "out.json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("simplify"));
  EXPECT_THAT(result.out, HasSubstr("1 batch-norms, 1 gemms"));
  const Json json = read_json(path("out.json"));
  EXPECT_EQ(json["pipeline"], "simplify, fuse");
  EXPECT_EQ(json["passes"].size(), 2u);
  EXPECT_EQ(json["passes"][1]["check"]["state"], "passed");
  EXPECT_LT(json["result"]["params"], json["original"]["params"]);
  const Model model = load_model(path("out.onnx"));
  EXPECT_EQ(model.graph.nodes().size(), 4u);  // Conv Relu Flatten Gemm
  ASSERT_EQ(model.metadata.size(), 1u);
  EXPECT_EQ(model.metadata[0].second, "simplify, fuse");

  const CommandResult compared = run({"compare", "net.txt", "out.onnx"});
  EXPECT_EQ(compared.exit_code, 0) << compared.err;
  EXPECT_THAT(compared.out, HasSubstr("equal"));
}

TEST_F(Command, IsDeterministic) {
  ASSERT_EQ(run({"simplify", "net.txt", "-o", "a.onnx"}).exit_code, 0);
  ASSERT_EQ(run({"simplify", "net.txt", "-o", "b.onnx"}).exit_code, 0);
  EXPECT_EQ(read_text(path("a.onnx")), read_text(path("b.onnx")));
}

TEST_F(Command, ComparesWithFour) {
  std::string other = kNet;
  other.replace(other.find("{1, 2}"), 6, "{1, 3}");
  write_text(path("other.txt"), other);
  const CommandResult result = run({"compare", "net.txt", "other.txt"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.out, HasSubstr("DIFFERENT"));
  EXPECT_THAT(result.err, StartsWith("espalier: error: output 'y': "));
  EXPECT_EQ(run({"compare", "net.txt", "other.txt", "--tolerance", "100"}).exit_code, 0);
  write_text(path("small.txt"), "graph g (z: float[1]) -> (y: float[1]) { y = Relu(z) }");
  expect_error({"compare", "net.txt", "small.txt"}, 4, "has no input 'x'");
}

TEST_F(Command, ReadsOptionsFromAFileThatTheCommandLineOverrides) {
  write_text(path("options"), "# how\npasses = simplify\noutput = from-file.onnx\n");
  ASSERT_EQ(run({"optimize", "net.txt", "--config", "options"}).exit_code, 0);
  EXPECT_TRUE(fs::exists(path("from-file.onnx")));
  ASSERT_EQ(run({"optimize", "net.txt", "--config", "options", "-o", "typed.onnx"}).exit_code, 0);
  EXPECT_TRUE(fs::exists(path("typed.onnx")));
  write_text(path("options"), "pases = simplify\n");
  expect_error({"optimize", "net.txt", "-o", "x.onnx", "--config", "options"}, 2, "unknown option 'pases'", "did you mean '--passes'?");
}

TEST_F(Command, LeavesAnOutputAloneThatItCannotReplace) {
  write_text(path("out.onnx"), "precious");
  EXPECT_EQ(run({"optimize", "net.txt", "-o", "out.onnx", "--passes", "nonsense"}).exit_code, 2);
  EXPECT_EQ(read_text(path("out.onnx")), "precious");
  write_text(path("wrong.txt"), "graph g (x: float[2,3]) -> (y) { w: float[4,5] = iota  y = MatMul(x, w) }");
  EXPECT_EQ(run({"simplify", "wrong.txt", "-o", "out.onnx"}).exit_code, 3);
  EXPECT_EQ(read_text(path("out.onnx")), "precious");
}

TEST_F(Command, WritesJsonToStdout) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"info", "net.txt"}, {"ops"}, {"passes"}, {"compare", "net.txt", "net.txt"}}) {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"--json", "-"});
    const CommandResult result = run(all);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_TRUE(Json::accept(result.out)) << result.out;
  }
}

TEST_F(Command, OpsWritesItsTableAsMarkdown) {
  const CommandResult result = run({"ops", "--markdown"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, StartsWith("| operator | versions | infer | evaluate |"));
  EXPECT_THAT(result.out, HasSubstr("\n| Relu | 1-14 | yes | yes | yes |"));
}

TEST_F(Command, InfoCountsParametersAndMacs) {
  const CommandResult result = run({"info", "net.txt", "--json", "info.json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("x: float[batch,1,6,6]"));
  const Json json = read_json(path("info.json"));
  EXPECT_EQ(json["params"], 36 + 16 + 128 + 2);
  EXPECT_EQ(json["macs"], 16 * 36 + 128);
  EXPECT_EQ(json["ops"]["Conv"]["nodes"], 1);
  EXPECT_EQ(json["trainable"].size(), 5u);  // w, scale, bias, fc, fb
}

TEST_F(Command, NamesOpaqueOperatorsAndWhatWasNotVerified) {
  write_text(path("opaque.txt"), "graph g (x: float[n,3]) -> (y) opset 17, other 1 { h = other::Magic(x)  i = Identity(h)  y = Relu(i) }");
  EXPECT_THAT(run({"info", "opaque.txt"}).out, HasSubstr("other::Magic (opaque)"));
  const CommandResult result = run({"simplify", "opaque.txt", "-o", "out.onnx"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("unverified"));
  expect_error({"compare", "opaque.txt", "opaque.txt"}, 3, "Magic");
}

TEST_F(Command, DumpsTheGraphAfterEachPass) {
  fs::create_directory(path("steps"));
  ASSERT_EQ(run({"optimize", "net.txt", "-o", "o.onnx", "--passes", "simplify, fuse", "--dump", "steps"}).exit_code, 0);
  EXPECT_THAT(read_text(path("steps/01-simplify.txt")), HasSubstr("BatchNormalization"));
  EXPECT_THAT(read_text(path("steps/02-fuse.txt")), HasSubstr("Gemm"));
}

TEST_F(Command, FailsWhereStdoutIsFull) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  const std::string line = "cd '" + folder_.path().string() + "' && '" ESPALIER_BINARY "' ops >/dev/full 2>/dev/null";
  EXPECT_EQ(WEXITSTATUS(std::system(line.c_str())), 6);
}

}  // namespace
}  // namespace espalier::testing
