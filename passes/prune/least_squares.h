#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace espalier {

/// Rows of a linear regression, row-major. The last fifth is held out while the ridge is chosen, so rows come in an order
/// in which it is a fair sample.
struct Regression {
  int64_t rows = 0, inputs = 0, outputs = 0;
  std::vector<double> x;  ///< [rows, inputs]
  std::vector<double> r;  ///< [rows, outputs]: what the change of the weights is to explain
  bool intercept = false;
};

/// A change of weights, and the mean over rows of the squared residual (summed over outputs) before and after it.
struct LinearFit {
  std::vector<double> weights;    ///< [inputs, outputs]
  std::vector<double> intercept;  ///< [outputs]; empty without
  double ridge = 0;
  double before = 0, after = 0;
};

/// The D (and intercept) that minimise |r - x D - 1 d|^2 + lambda |D|^2 with x and r centred where there is an intercept,
/// lambda = ridge * trace(x'x) / inputs. Of a few ridges the one with the least error on the held-out rows is taken, then
/// all rows are fitted. Solved by Cholesky in double: on the inputs, or on the rows where they are fewer. Results do not
/// depend on the number of threads. Nothing where no ridge lowers the held-out error, or there are fewer than 10 rows.
/// Consumes `problem`. Source: Hoerl and Kennard 1970 (ridge), here towards the present weights.
std::optional<LinearFit> least_squares(Regression problem);

}  // namespace espalier
