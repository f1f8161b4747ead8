// A plain text table: columns as wide as their widest cell, the first to the left, the others
// to the right.
#ifndef HAKMEM_BENCH_HARNESS_TABLE_H_
#define HAKMEM_BENCH_HARNESS_TABLE_H_

#include <string>
#include <vector>

namespace hak_bench {

class Table {
  public:
    explicit Table(std::vector<std::string> header);

    // Short rows are filled up with empty cells; cells beyond the header are dropped.
    void AddRow(std::vector<std::string> cells);

    // Every line ends in a newline and begins with two spaces.
    std::string ToString() const;

  private:
    std::vector<std::vector<std::string>> rows_; // rows_[0] is the header
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_HARNESS_TABLE_H_
