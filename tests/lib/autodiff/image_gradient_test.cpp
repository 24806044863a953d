// Gradients of operators on images against central differences in double.
#include <gtest/gtest.h>

#include "tests/lib/autodiff/gradient_check.h"

namespace espalier::testing {
namespace {

std::string image(const std::string& declared, const std::string& node, const std::string& constants = "", int opset = 19) {
  return one(declared, node, constants, opset);
}

GRADIENT_TEST(ImageGradient, ResizeInEveryModeAndCoordinateSystem) {
  for (const std::string mode : {"nearest", "linear", "cubic"}) {
    for (const std::string coordinates : {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"}) {
      const std::string attributes = " {mode = \"" + mode + "\", coordinate_transformation_mode = \"" + coordinates + "\"}";
      EXPECT_GRADIENTS(image("x: float[n,2,3,4]", "Resize(x, _, s)" + attributes, "s: float[4] = {1, 1, 2, 1.6}")) << attributes;
      EXPECT_GRADIENTS(image("x: float[n,2,5,4]", "Resize(x, _, s)" + attributes, "s: float[4] = {1, 1, 0.6, 0.5}")) << attributes;
    }
  }
  for (const std::string nearest : {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}) {
    EXPECT_GRADIENTS(image("x: float[n,2,3]", "Resize(x, _, _, s) {nearest_mode = \"" + nearest + "\"}", "s: int64[3] = {2, 2, 7}"));
  }
}

GRADIENT_TEST(ImageGradient, ResizeWithAntialiasExcludedBordersCropsAndAxes) {
  for (const std::string mode : {"linear", "cubic"}) {
    EXPECT_GRADIENTS(image("x: float[1,1,7,8]", "Resize(x, _, s) {antialias = 1, mode = \"" + mode + "\"}", "s: float[4] = {1, 1, 0.4, 0.7}"));
    EXPECT_GRADIENTS(image("x: float[1,1,4,4]", "Resize(x, _, s) {exclude_outside = 1, mode = \"" + mode + "\"}", "s: float[4] = {1, 1, 1.5, 0.7}"));
  }
  EXPECT_GRADIENTS(image("x: float[1,1,4,4]", "Resize(x, r, _, s) {mode = \"linear\", coordinate_transformation_mode = \"tf_crop_and_resize\", extrapolation_value = 3.0}",
                       "r: float[8] = {0, 0, 0.4, 0.6, 1, 1, 1.2, 1.7}\n s: int64[4] = {1, 1, 3, 3}"));
  EXPECT_GRADIENTS(image("x: float[n,4,6,3]", "Resize(x, _, _, s) {mode = \"linear\", axes = [2, 1], keep_aspect_ratio_policy = \"not_larger\"}", "s: int64[2] = {8, 8}"));
  EXPECT_GRADIENTS(image("x: float[n,2,2,3,2]", "Resize(x, _, s) {mode = \"linear\"}", "s: float[5] = {1, 1, 2, 1.5, 2}"));
}

GRADIENT_TEST(ImageGradient, OldResizeAndUpsample) {
  EXPECT_GRADIENTS(image("x: float[n,2,3,4]", "Resize(x, s) {mode = \"linear\"}", "s: float[4] = {1, 1, 2, 0.5}", 10));
  EXPECT_GRADIENTS(image("x: float[n,2,3,4]", "Upsample(x, s)", "s: float[4] = {1, 1, 2, 3}", 9));
  EXPECT_GRADIENTS(image("x: float[n,2,3,4]", "Upsample(x) {mode = \"linear\", scales = [1.0, 1.0, 2.0, 1.5]}", "", 8));
}

GRADIENT_TEST(ImageGradient, GridSampleByInputAndGrid) {
  for (const std::string mode : {"linear", "cubic", "nearest"}) {
    for (const std::string padding : {"zeros", "border", "reflection"}) {
      for (const std::string align : {"0", "1"}) {
        const std::string attributes = " {mode = \"" + mode + "\", padding_mode = \"" + padding + "\", align_corners = " + align + "}";
        EXPECT_GRADIENTS(image("x: float[n,2,4,5], g: float[n,3,2,2]", "GridSample(x, g)" + attributes, "", 20), {.low = -1.3, .high = 1.3}) << attributes;
      }
    }
  }
  EXPECT_GRADIENTS(image("x: float[n,2,3,4], g: float[n,3,2,2]", "GridSample(x, g) {mode = \"bilinear\"}", "", 16));
  EXPECT_GRADIENTS(image("x: float[1,2,3,2,4], g: float[1,2,2,2,3]", "GridSample(x, g) {align_corners = 1}", "", 20));
}

GRADIENT_TEST(ImageGradient, AffineGridByTheta) {
  for (const std::string align : {"0", "1"}) {
    EXPECT_GRADIENTS(image("t: float[2,2,3]", "AffineGrid(t, s) {align_corners = " + align + "}", "s: int64[4] = {2, 1, 3, 4}", 20));
    EXPECT_GRADIENTS(image("t: float[1,3,4]", "AffineGrid(t, s) {align_corners = " + align + "}", "s: int64[5] = {1, 1, 2, 3, 2}", 20));
  }
}

GRADIENT_TEST(ImageGradient, RegionsByTheFeatures) {
  const std::string boxes = "r: float[3,4] = {0.5, 1, 4, 5.5, -2, 0, 9, 3, 2, 2, 2.5, 2.25}\n b: int64[3] = {1, 0, 1}";
  for (const std::string mode : {"avg", "max"}) {
    for (const std::string ratio : {"0", "2"}) {
      const std::string attributes = " {mode = \"" + mode + "\", output_height = 2, output_width = 3, sampling_ratio = " + ratio + ", spatial_scale = 0.9}";
      EXPECT_GRADIENTS(image("x: float[n,2,6,5]", "RoiAlign(x, r, b)" + attributes, boxes, 16)) << attributes;
      EXPECT_GRADIENTS(image("x: float[n,2,6,5]", "RoiAlign(x, r, b)" + attributes, boxes, 10)) << attributes;
    }
  }
  EXPECT_GRADIENTS(image("x: float[n,2,6,5]", "MaxRoiPool(x, r) {pooled_shape = [2, 2], spatial_scale = 0.5}",
                       "r: float[3,5] = {1, 0, 2, 6, 9, 0, 1, 1, 3, 3, 1, 4, 4, 20, 20}", 17));
}

GRADIENT_TEST(ImageGradient, MaxUnpool) {
  EXPECT_GRADIENTS(image("x: float[1,1,2,2]", "MaxUnpool(x, i) {kernel_shape = [2, 2], strides = [2, 2]}", "i: int64[1,1,2,2] = {5, 7, 13, 15}", 17));
  EXPECT_GRADIENTS(image("x: float[1,1,2,2]", "MaxUnpool(x, i, s) {kernel_shape = [2, 2], strides = [2, 2]}",
                       "i: int64[1,1,2,2] = {5, 7, 7, 15}\n s: int64[4] = {1, 1, 5, 5}", 17));
}

GRADIENT_TEST(ImageGradient, ConvTransposeWithEveryAttribute) {
  const std::string two = "x: float[n,4,3,2], w: float[4,2,3,3], b: float[2]", grouped = "x: float[n,4,3,2], w: float[4,2,3,3], b: float[4]";
  for (const std::string attributes :
       {"{strides = [2,3], output_padding = [1,2]}", "{strides = [2,2], output_shape = [6,5]}", "{strides = [2,2], output_shape = [8,7]}",
        "{strides = [2,2], auto_pad = \"SAME_UPPER\"}", "{strides = [2,3], auto_pad = \"SAME_LOWER\"}", "{strides = [2,2], auto_pad = \"VALID\"}",
        "{dilations = [1,2], pads = [1,2,0,1]}", "{kernel_shape = [3,3], strides = [3,1], pads = [1,1,1,1]}"}) {
    EXPECT_GRADIENTS(image(two, "ConvTranspose(x, w, b) " + attributes)) << attributes;
  }
  EXPECT_GRADIENTS(image(grouped, "ConvTranspose(x, w, b) {group = 2, strides = [2,2], pads = [1,1,1,1]}"));
  EXPECT_GRADIENTS(image("x: float[n,4,3], w: float[4,1,2]", "ConvTranspose(x, w) {group = 4, strides = [2], output_padding = [1]}"));
  EXPECT_GRADIENTS(image("x: float[n,2,2,3,2], w: float[2,3,2,2,3], b: float[3]", "ConvTranspose(x, w, b) {strides = [2,1,2], pads = [0,1,1,1,0,0]}"));
}

GRADIENT_TEST(ImageGradient, DeformConvByEveryInput) {
  const std::string inputs = "x: float[n,4,5,4], w: float[6,4,2,3], o: float[n,12,3,3], b: float[6], m: float[n,6,3,3]";
  EXPECT_GRADIENTS(image(inputs, "DeformConv(x, w, o, b, m) {pads = [0,1,0,0], dilations = [2,1]}"));
  EXPECT_GRADIENTS(image("x: float[n,4,5,4], w: float[6,2,2,2], o: float[n,16,2,2]", "DeformConv(x, w, o) {group = 2, offset_group = 2, strides = [2,2], pads = [0,0,0,1]}"));
  EXPECT_GRADIENTS(image("x: float[n,2,5], w: float[3,2,2], o: float[n,2,4], m: float[n,2,4]", "DeformConv(x, w, o, _, m)"));
}

GRADIENT_TEST(ImageGradient, PoolsInAllForms) {
  const std::string x = "x: float[n,2,6,5]";
  for (const std::string p : {"1", "2", "3"}) {
    EXPECT_GRADIENTS(image(x, "LpPool(x) {kernel_shape = [2,3], strides = [2,1], pads = [1,0,0,1], p = " + p + "}"));
    EXPECT_GRADIENTS(image(x, "LpPool(x) {kernel_shape = [2,2], dilations = [2,2], ceil_mode = 1, strides = [3,2], p = " + p + "}"));
    EXPECT_GRADIENTS(image(x, "GlobalLpPool(x) {p = " + p + "}"));
  }
  EXPECT_GRADIENTS(image(x, "MaxPool(x) {kernel_shape = [2,2], dilations = [2,1], strides = [2,2], pads = [0,1,1,0], ceil_mode = 1}"));
  EXPECT_GRADIENTS(image("x: float[n,2,4,3,5]", "MaxPool(x) {kernel_shape = [2,2,2], strides = [2,1,2], pads = [0,0,0,1,1,1]}"));
  EXPECT_GRADIENTS(image("x: float[n,2,4,3,5]", "AveragePool(x) {kernel_shape = [2,2,2], strides = [2,1,2], pads = [0,0,0,1,1,1], count_include_pad = 1}"));
  EXPECT_GRADIENTS(image(x, "AveragePool(x) {kernel_shape = [2,2], dilations = [2,2], ceil_mode = 1, strides = [2,2]}"));
  EXPECT_GRADIENTS(image("x: float[n,2,3,2,4]", "GlobalMaxPool(x)"));
}

GRADIENT_TEST(ImageGradient, ConvOfThreeAxes) {
  EXPECT_GRADIENTS(image("x: float[n,2,4,3,5], w: float[4,1,2,2,3], b: float[4]", "Conv(x, w, b) {group = 2, strides = [2,1,2], dilations = [1,2,1], pads = [1,1,0,0,1,1]}"));
}

}  // namespace
}  // namespace espalier::testing
