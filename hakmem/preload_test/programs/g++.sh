# g++: a translation unit full of templates at -O2; the object and the program's output.
set -eu
cat >unit.cc <<'CC'
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

template <int N> struct Chain {
    std::map<int, std::string> names;
    Chain<N - 1> rest;
    int Sum() const { return static_cast<int>(names.size()) + N + rest.Sum(); }
};
template <> struct Chain<0> { int Sum() const { return 0; } };

int main()
{
    std::unordered_map<std::string, std::vector<int>> index;
    std::multiset<std::string> ordered;
    for (int i = 0; i < 20000; i++) {
        std::string key = "key" + std::to_string(i * 7919 % 1009);
        index[key].push_back(i);
        ordered.insert(key + std::string(i % 60, 'x'));
    }
    std::ostringstream out;
    for (const auto &entry : std::map<std::string, std::vector<int>>(index.begin(), index.end()))
        out << entry.first << ' ' << std::accumulate(entry.second.begin(), entry.second.end(), 0L);
    std::cout << std::hash<std::string>()(out.str()) << ' ' << ordered.size() << '\n';
    std::regex pattern("key([0-9]+) ([0-9]+)");
    std::string text = out.str().substr(0, 4000);
    std::cout << std::distance(std::sregex_iterator(text.begin(), text.end(), pattern),
                               std::sregex_iterator()) << '\n';
    std::vector<std::shared_ptr<std::string>> shared(64);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&shared, t] {
            for (int i = t; i < 64; i += 4)
                shared[i] = std::make_shared<std::string>(std::string(i * 50, 'a' + t));
        });
    for (auto &thread : threads)
        thread.join();
    for (const auto &s : shared)
        std::cout << s->size() << s->substr(0, 1) << ' ';
    std::cout << Chain<60>().Sum() << '\n';
}
CC
g++ -std=c++17 -O2 -c unit.cc -o result/unit.o
g++ result/unit.o -o result/program -pthread
result/program
