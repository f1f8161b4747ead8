// Writes JSON, nothing else: the caller opens and closes, the writer puts commas and escapes.
#ifndef HAKMEM_BENCH_HARNESS_JSON_H_
#define HAKMEM_BENCH_HARNESS_JSON_H_

#include <string>
#include <vector>

namespace hak_bench {

class JsonWriter {
  public:
    void BeginObject();
    void EndObject();
    void BeginArray();
    void EndArray();
    void Key(const std::string &name);
    void String(const std::string &value);
    // A number that JSON cannot say (infinite, not a number) is written as null.
    void Number(double value);
    void Null();

    void Field(const std::string &name, const std::string &value);
    void Field(const std::string &name, double value);

    // What was written so far, and a newline at its end.
    std::string ToString() const { return out_ + "\n"; }

  private:
    void BeforeValue();
    void Open(char bracket);
    void Close(char bracket);

    std::string out_;
    std::vector<bool> has_items_; // one for each open bracket
    bool after_key_ = false;
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_HARNESS_JSON_H_
