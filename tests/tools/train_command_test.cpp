#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "lib/base/random.h"
#include "lib/data/npz.h"
#include "lib/onnx_io/load.h"
#include "tests/support/environment.h"
#include "tests/tools/run_command.h"

namespace espalier::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// 8 x 8 images of two classes: a bright left or a bright right half, with noise.
Tensor images(int64_t count, uint32_t stream) {
  const Random random(7, RandomUse::test, stream);
  Tensor x(DataType::float32, {count, 1, 8, 8});
  auto out = x.mutable_data<float>();
  for (int64_t i = 0; i < x.size(); ++i) {
    const int64_t sample = i / 64, column = i % 8;
    const bool bright = (column < 4) == (sample % 2 == 0);
    out[static_cast<size_t>(i)] = (bright ? 1.0f : 0.0f) + 0.5f * random.normal(static_cast<uint64_t>(i));
  }
  return x;
}

Tensor labels(int64_t count) {
  Tensor y(DataType::int64, {count});
  auto out = y.mutable_data<int64_t>();
  for (int64_t i = 0; i < count; ++i) out[static_cast<size_t>(i)] = i % 2;
  return y;
}

constexpr const char* kNet = R"(graph net (x: float[batch,1,8,8]) -> (y: float[batch,2]) {
  w1: float[16,1,3,3] = fill(1)
  b1: float[16] = zeros
  w2: float[16,16,3,3] = fill(2)
  fc: float[2,16] = fill(3)
  fb: float[2] = zeros
  c1 = Conv(x, w1, b1) {pads = [1,1,1,1]}
  r1 = Relu(c1)
  c2 = Conv(r1, w2) {pads = [1,1,1,1], strides = [2,2]}
  r2 = Relu(c2)
  g = GlobalAveragePool(r2)
  f = Flatten(g)
  y = Gemm(f, fc, fb) {transB = 1}
}
)";

class TrainCommand : public ::testing::Test {
 protected:
  TrainCommand() {
    write_text(path("net.txt"), kNet);
    write_npz(path("train.npz"), {{"x", images(512, 1)}, {"y", labels(512)}});
    write_npz(path("test.npz"), {{"x", images(256, 2)}, {"y", labels(256)}});
    write_npz(path("bare.npz"), {{"x", images(128, 3)}});
  }
  std::string path(const std::string& file) const { return folder_ / file; }
  CommandResult run(const std::vector<std::string>& words, const std::string& before = "") const {
    return run_command(words, folder_.path().string(), before);
  }
  void train() {
    const CommandResult result = run({"finetune", "net.txt", "-o", "net.onnx", "--train", "train.npz", "--epochs", "4", "--lr", "0.01", "-q"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  double top1(const std::string& model) {
    const CommandResult result = run({"evaluate", model, "--data", "test.npz", "--json", "-"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Json::parse(result.out)["top1"];
  }

  TemporaryFolder folder_;
};

TEST_F(TrainCommand, FinetuneLearns) {
  train();
  EXPECT_GT(top1("net.onnx"), 0.95);
  const Model model = load_model(path("net.onnx"));
  EXPECT_THAT(model.metadata.back().second, StartsWith("finetune{epochs=4"));
}

TEST_F(TrainCommand, FinetuneIsDeterministic) {
  train();
  const std::string first = read_text(path("net.onnx"));
  train();
  EXPECT_EQ(read_text(path("net.onnx")), first);
}

TEST_F(TrainCommand, SlimHalvesTheModelAndReports) {
  train();
  const CommandResult result = run({"slim", "net.onnx", "-o", "slim.onnx", "--train", "train.npz", "--test", "test.npz", "--flops", "0.5",
                                    "--epochs", "3", "--lr", "0.01", "--json", "slim.json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const char* row : {"parameters", "MACs", "file size", "accuracy", "time at batch 1", "time at batch 64"}) EXPECT_THAT(result.out, HasSubstr(row));
  const Json json = read_json(path("slim.json"));
  EXPECT_LE(json["result"]["macs"].get<double>(), 0.5 * json["original"]["macs"].get<double>());
  EXPECT_GT(json["result"]["top1"].get<double>(), 0.95);
  EXPECT_GT(json["result"]["ms"]["64"].get<double>(), 0);
  EXPECT_THAT(load_model(path("slim.onnx")).metadata.back().second, HasSubstr("prune{flops=0.5}, finetune{"));
}

TEST_F(TrainCommand, SlimRecoversWithoutLabels) {
  train();
  const CommandResult result = run({"slim", "net.onnx", "-o", "slim.onnx", "--train", "bare.npz", "--test", "test.npz", "--flops", "0.5",
                                    "--criterion", "l1", "--epochs", "3", "--lr", "0.01", "-q"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_GT(top1("slim.onnx"), 0.9);
}

TEST_F(TrainCommand, SlimIsJudgedOnTheViewsThatValAugmentNames) {
  train();
  const CommandResult result = run({"slim", "net.onnx", "-o", "slim.onnx", "--train", "train.npz", "--flops", "0.5", "--epochs", "1",
                                    "--val-augment", "flip", "--json", "slim.json", "-q"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json json = read_json(path("slim.json"));
  EXPECT_EQ(json["judged_on"].get<std::string>(), "the validation data, flip");
  EXPECT_NEAR(json["original"]["top1"].get<double>(), 0.5, 0.25) << "half of the sides are changed, the labels are not";
}

TEST_F(TrainCommand, AMissedTargetIsFiveAndWritesTheBestResult) {
  train();
  write_text(path("slim.onnx"), "precious");
  // One unit a layer, weights as they were cut and no learning rate to speak of.
  const CommandResult result = run({"slim", "net.onnx", "-o", "slim.onnx", "--train", "train.npz", "--test", "test.npz", "--ratio", "0.9",
                                    "--epochs", "1", "--lr", "1e-9", "--reconstruct", "false", "--min-accuracy", "1", "-q"});
  EXPECT_EQ(result.exit_code, 5) << result.err;
  EXPECT_THAT(result.err, HasSubstr("the best result is 'slim.best.onnx'"));
  EXPECT_EQ(read_text(path("slim.onnx")), "precious");
  EXPECT_NO_THROW(load_model(path("slim.best.onnx")));
}

TEST_F(TrainCommand, ABudgetOutOfReachIsFiveAndTheBestResultIsRecovered) {
  train();
  write_text(path("slim.onnx"), "precious");
  const CommandResult result = run({"slim", "net.onnx", "-o", "slim.onnx", "--train", "train.npz", "--test", "test.npz", "--flops", "0.1",
                                    "--keep", "c1", "--epochs", "6", "--lr", "0.01", "--json", "slim.json", "-q"});
  EXPECT_EQ(result.exit_code, 5) << result.err;
  EXPECT_THAT(result.err, HasSubstr(" can go, 90 % were asked for; the best result is 'slim.best.onnx'"));
  EXPECT_EQ(read_text(path("slim.onnx")), "precious");
  const Json json = read_json(path("slim.json"));
  EXPECT_LT(json["result"]["macs"].get<double>(), 0.3 * json["original"]["macs"].get<double>());
  EXPECT_THAT(json["passes"][1]["missed"].get<std::string>(), StartsWith("at most "));
  EXPECT_THAT(load_model(path("slim.best.onnx")).metadata.back().second, HasSubstr("prune{flops=0.1 keep=c1}, finetune{"));
  EXPECT_GT(top1("slim.best.onnx"), 0.9);  // one channel of c2 still tells left from right, once retrained
}

TEST_F(TrainCommand, PruneLeavesTheBestResultOfABudgetOutOfReach) {
  write_text(path("out.onnx"), "precious");
  const CommandResult result = run({"prune", "net.txt", "-o", "out.onnx", "--flops", "0.001"});
  EXPECT_EQ(result.exit_code, 5) << result.err;
  EXPECT_THAT(result.err, HasSubstr("espalier: error: at most "));
  EXPECT_THAT(result.err, HasSubstr("the best result is 'out.best.onnx'"));
  EXPECT_EQ(read_text(path("out.onnx")), "precious");
  const Graph best = load_model(path("out.best.onnx")).graph;
  EXPECT_EQ(best.initializer(best.find_value("w2"))->dims(), (Dims{1, 1, 3, 3}));

  // Where the best result would replace the input it gets another name.
  fs::copy_file(path("out.best.onnx"), path("in.best.onnx"));
  const std::string input = read_text(path("in.best.onnx"));
  const CommandResult again = run({"prune", "in.best.onnx", "-o", "in.onnx", "--flops", "0.001"});
  EXPECT_EQ(again.exit_code, 5) << again.err;
  EXPECT_EQ(read_text(path("in.best.onnx")), input);
  EXPECT_NO_THROW(load_model(path("in.best.best.onnx")));
}

TEST_F(TrainCommand, BenchMeasuresEachBatch) {
  const CommandResult result = run({"bench", "net.txt", "--batch", "1,4", "--seconds", "0.05", "--profile", "--json", "bench.json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json json = read_json(path("bench.json"));
  ASSERT_EQ(json["batches"].size(), 2u);
  EXPECT_GT(json["batches"][1]["samples_per_second"].get<double>(), 0);
  EXPECT_GT(json["profile"].size(), 3u);
}

TEST_F(TrainCommand, RefusesMisuse) {
  EXPECT_EQ(run({"finetune", "net.txt", "-o", "o.onnx"}).exit_code, 2);
  EXPECT_EQ(run({"finetune", "net.txt", "-o", "o.onnx", "--train", "bare.npz"}).exit_code, 2);
  EXPECT_EQ(run({"finetune", "net.txt", "-o", "o.onnx", "--train", "absent.npz"}).exit_code, 6);
  EXPECT_EQ(run({"finetune", "net.txt", "-o", "o.onnx", "--train", "train.npz", "--optimizer", "adamm"}).exit_code, 2);
  EXPECT_EQ(run({"finetune", "net.txt", "-o", "o.onnx", "--train", "train.npz", "--epochs", "0"}).exit_code, 2);
  EXPECT_EQ(run({"slim", "net.txt", "-o", "o.onnx", "--train", "train.npz", "--min-accuracy", "98"}).exit_code, 2);
  EXPECT_EQ(run({"slim", "net.txt", "-o", "o.onnx", "--train", "train.npz", "--flops", "0.5", "--val-augment", "turn"}).exit_code, 2);
  EXPECT_EQ(run({"prune", "net.txt", "-o", "o.onnx", "--flops", "2"}).exit_code, 2);
  EXPECT_EQ(run({"bench", "net.txt", "--batch", "0"}).exit_code, 2);
  write_npz(path("wrong.npz"), {{"x", Tensor(DataType::float32, {16, 3, 8, 8})}, {"y", labels(16)}});
  EXPECT_EQ(run({"evaluate", "net.txt", "--data", "wrong.npz"}).exit_code, 3);
  EXPECT_FALSE(fs::exists(path("o.onnx")));
}

TEST_F(TrainCommand, NonFiniteNumbersAreSeven) {
  write_text(path("o.onnx"), "precious");
  const CommandResult result = run({"finetune", "net.txt", "-o", "o.onnx", "--train", "train.npz", "--optimizer", "sgd", "--lr", "1e30", "-q"});
  EXPECT_EQ(result.exit_code, 7) << result.err;
  EXPECT_EQ(read_text(path("o.onnx")), "precious");
}

TEST_F(TrainCommand, AnInterruptIsSeventyFive) {
  write_text(path("o.onnx"), "precious");
  const std::string line = "cd '" + folder_.path().string() + "' && { '" ESPALIER_BINARY "' finetune net.txt -o o.onnx --train train.npz "
                           "--epochs 100000 -q 2>err & p=$!; sleep 1; kill -TERM $p; wait $p; }";
  const int status = std::system(line.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 75) << read_text(path("err"));
  EXPECT_EQ(read_text(path("o.onnx")), "precious");
}

}  // namespace
}  // namespace espalier::testing
