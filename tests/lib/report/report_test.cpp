#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "lib/report/json.h"
#include "lib/report/progress.h"
#include "lib/report/table.h"
#include "lib/report/units.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

TEST(Units, KeepThreeDigits) {
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(1234), "1.23 k");
  EXPECT_EQ(count_text(999999), "1.00 M");
  EXPECT_EQ(count_text(45.6e6), "45.6 M");
  EXPECT_EQ(count_text(-2e9), "-2.00 G");
  EXPECT_EQ(bytes_text(12), "12 B");
  EXPECT_EQ(bytes_text(1.5e6), "1.50 MB");
  EXPECT_EQ(seconds_text(0.0456), "45.6 ms");
  EXPECT_EQ(seconds_text(12.3e-6), "12.3 us");
  EXPECT_EQ(seconds_text(7.894), "7.89 s");
  EXPECT_EQ(seconds_text(200), "3 min 20 s");
  EXPECT_EQ(seconds_text(7500), "2 h 05 min");
  EXPECT_EQ(percent_text(0.98765), "98.77 %");
  EXPECT_EQ(fixed_text(0.12345, 4), "0.1235");
  EXPECT_EQ(ratio_text(5, 2), "2.50x");
}

TEST(Units, ShowNoNumberWhereThereIsNone) {
  EXPECT_EQ(count_text(std::nan("")), "-");
  EXPECT_EQ(seconds_text(std::nan("")), "-");
  EXPECT_EQ(percent_text(std::nan("")), "-");
  EXPECT_EQ(ratio_text(1, 0), "-");
}

TEST(Table, AlignsColumns) {
  Table table({"", "original", "slimmed"});
  table.row({"parameters", "1.23 M", "456 k"});
  table.line();
  table.row({"größe", "12 B"});
  EXPECT_EQ(table.text(),
            "            original  slimmed\n"
            "-----------------------------\n"
            "parameters    1.23 M    456 k\n"
            "-----------------------------\n"
            "größe           12 B\n");
}

TEST(Table, PrintsMarkdown) {
  Table table({"operator", "versions"});
  table.row({"Or", "a|b"});
  table.line();
  table.row({"Relu"});
  EXPECT_EQ(table.markdown(), "| operator | versions |\n| --- | ---: |\n| Or | a\\|b |\n| Relu |  |\n");
}

TEST(Table, ShowsNoControlCharacters) {
  Table table({"name", "op"});
  table.left(1);
  table.row({"a\x1b[31m\n", "Relu"});
  EXPECT_EQ(table.text(), "name     op\n-------------\na?[31m?  Relu\n");
}

TEST(Progress, SaysRateAndTimeLeft) {
  EXPECT_EQ(progress_line("epoch 1/5", 50, 200, 10, "loss 0.5", 80), "epoch 1/5   25 %  5/s  30.0 s left  loss 0.5");
  EXPECT_EQ(progress_line("epoch 1/5", 0, 200, 10, "", 80), "epoch 1/5    0 %");
  EXPECT_EQ(progress_line("reading", 30, 0, 10, "", 80), "reading  3/s");
  EXPECT_EQ(progress_line("epoch 1/5", 50, 200, 10, "loss 0.5", 10), "epoch 1/5 ");
}

TEST(Json, KeepsTheOrderAndHasNoNan) {
  Json json;
  json["top1"] = 0.5;
  json["loss"] = std::nan("");
  json["name"] = "a\xff";
  EXPECT_EQ(json_text(json), "{\n  \"top1\": 0.5,\n  \"loss\": null,\n  \"name\": \"a\xef\xbf\xbd\"\n}\n");
  const testing::TemporaryFolder folder;
  const std::string path = folder.path() / "a.json";
  write_json(path, json);
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), json_text(json));
}

}  // namespace
}  // namespace espalier
