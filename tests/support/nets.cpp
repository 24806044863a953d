#include "tests/support/nets.h"

#include <sstream>
#include <vector>

namespace espalier {
namespace {

/// Writes nodes one by one; weights are declared ahead of them.
class Net {
 public:
  std::string conv(const std::string& x, int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t group = 1,
                   bool bias = false) {
    const std::string y = fresh("c"), k = std::to_string(kernel), s = std::to_string(stride), p = std::to_string(kernel / 2);
    weights_ << "  " << y << "_w: float[" << out << "," << in / group << "," << k << "," << k << "] = fill(" << ++seed_ << ")\n";
    if (bias) weights_ << "  " << y << "_b: float[" << out << "] = zeros\n";
    nodes_ << "  " << y << " = Conv(" << x << ", " << y << "_w" << (bias ? ", " + y + "_b" : "") << ") {kernel_shape = [" << k
           << "," << k << "], strides = [" << s << "," << s << "], pads = [" << p << "," << p << "," << p << "," << p
           << "], group = " << group << "}\n";
    return y;
  }

  std::string batch_norm(const std::string& x, int64_t channels) {
    const std::string y = fresh("n");
    for (const char* what : {"_s", "_b", "_m", "_v"}) {
      const bool one = what[1] == 's' || what[1] == 'v';
      weights_ << "  " << y << what << ": float[" << channels << "] = " << (one ? "ones" : "zeros") << "\n";
    }
    nodes_ << "  " << y << " = BatchNormalization(" << x << ", " << y << "_s, " << y << "_b, " << y << "_m, " << y << "_v)\n";
    return y;
  }

  std::string call(const std::string& op, const std::string& inputs, const std::string& attributes = "") {
    const std::string y = fresh("a");
    nodes_ << "  " << y << " = " << op << "(" << inputs << ")" << (attributes.empty() ? "" : " {" + attributes + "}") << "\n";
    return y;
  }

  std::string relu(const std::string& x) { return call("Relu", x); }
  std::string relu6(const std::string& x) { return call("Clip", x + ", zero, six"); }
  std::string max_pool(const std::string& x) { return call("MaxPool", x, "kernel_shape = [2,2], strides = [2,2]"); }

  std::string linear(const std::string& x, int64_t in, int64_t out, const std::string& name = "") {
    const std::string y = name.empty() ? fresh("f") : name;
    weights_ << "  " << y << "_w: float[" << out << "," << in << "] = fill(" << ++seed_ << ")\n";
    weights_ << "  " << y << "_b: float[" << out << "] = zeros\n";
    nodes_ << "  " << y << " = Gemm(" << x << ", " << y << "_w, " << y << "_b) {transB = 1}\n";
    return y;
  }

  std::string text(const std::string& name, const std::string& input, int64_t classes) const {
    return "graph " + name + " (x: float" + input + ") -> (logits: float[batch," + std::to_string(classes) +
           "]) opset 17 {\n  zero: float[] = 0\n  six: float[] = 6\n" + weights_.str() + nodes_.str() + "}\n";
  }

 private:
  std::string fresh(const std::string& base) { return base + std::to_string(++count_); }

  std::ostringstream weights_, nodes_;
  int count_ = 0, seed_ = 0;
};

}  // namespace

std::string resnet20_text() {
  Net net;
  std::string x = net.relu(net.batch_norm(net.conv("x", 3, 16, 3, 1), 16));
  int64_t in = 16;
  for (const int64_t width : {16, 32, 64}) {
    for (int block = 0; block < 3; ++block) {
      const int64_t stride = width != in ? 2 : 1;
      std::string y = net.relu(net.batch_norm(net.conv(x, in, width, 3, stride), width));
      y = net.batch_norm(net.conv(y, width, width, 3, 1), width);
      const std::string skip = stride == 1 ? x : net.batch_norm(net.conv(x, in, width, 1, stride), width);
      x = net.relu(net.call("Add", y + ", " + skip));
      in = width;
    }
  }
  net.linear(net.call("Flatten", net.call("GlobalAveragePool", x)), 64, 10, "logits");
  return net.text("resnet20", "[batch,3,32,32]", 10);
}

std::string mobilenet_v2_text(int64_t size, int64_t classes, int blocks) {
  struct Stage {
    int64_t expansion, width, repeats, stride;
  };
  const std::vector<Stage> stages = {{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2},
                                     {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  Net net;
  const auto block_of = [&](const std::string& x, int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t group) {
    return net.relu6(net.batch_norm(net.conv(x, in, out, kernel, stride, group), out));
  };
  std::string x = block_of("x", 3, 32, 3, 2, 1);
  int64_t in = 32;
  for (const Stage& stage : stages) {
    for (int64_t i = 0; i < stage.repeats && blocks > 0; ++i, --blocks) {
      const int64_t stride = i == 0 ? stage.stride : 1, hidden = in * stage.expansion;
      std::string y = stage.expansion == 1 ? x : block_of(x, in, hidden, 1, 1, 1);
      y = block_of(y, hidden, hidden, 3, stride, hidden);
      y = net.batch_norm(net.conv(y, hidden, stage.width, 1, 1), stage.width);
      x = stride == 1 && in == stage.width ? net.call("Add", y + ", " + x) : y;
      in = stage.width;
    }
  }
  x = block_of(x, in, 1280, 1, 1, 1);
  net.linear(net.call("Flatten", net.call("GlobalAveragePool", x)), 1280, classes, "logits");
  const std::string s = std::to_string(size);
  return net.text("mobilenet_v2", "[batch,3," + s + "," + s + "]", classes);
}

std::string lenet_text() {
  Net net;
  std::string x = net.max_pool(net.relu(net.conv("x", 1, 32, 5, 1, 1, true)));
  x = net.max_pool(net.relu(net.conv(x, 32, 64, 5, 1, 1, true)));
  x = net.relu(net.linear(net.call("Flatten", x), 64 * 7 * 7, 128));
  net.linear(x, 128, 10, "logits");
  return net.text("lenet", "[batch,1,28,28]", 10);
}

}  // namespace espalier
