# gcc: a generated C file of about 4,000 lines, optimised, assembled, linked and run.
set -eu
awk 'BEGIN {
    print "#include <stdio.h>\n#include <string.h>"
    for (i = 0; i < 330; i++) {
        printf "struct s%d { int a[%d]; char name[%d]; double d; };\n", i, i % 9 + 1, i % 31 + 1
        printf "int f%d(int x, const char *text)\n{\n", i
        printf "    struct s%d s;\n    memset(&s, x, sizeof s);\n", i
        printf "    for (int i = 0; i < %d; i++) {\n        s.a[i %% %d] += x * %d;\n    }\n", \
            i % 40 + 3, i % 9 + 1, i + 1
        printf "    switch (x %% 5) {\n    case 0: return (int)strlen(text);\n"
        if (i > 0)
            printf "    case 1: return f%d(x / 2, text) + s.a[0];\n", i - 1
        printf "    default: return s.a[%d] ^ x;\n    }\n}\n", i % 9
    }
    print "int main(void)\n{\n    unsigned sum = 0;"
    for (i = 0; i < 330; i++)
        printf "    sum = sum * 31 + (unsigned)f%d(%d, \"text %d\");\n", i, i * 13, i
    print "    printf(\"%u\\n\", sum);\n    return 0;\n}"
}' >generated.c
wc -l <generated.c
gcc -O1 -fwrapv -Wno-array-bounds -c generated.c -o result/generated.o
gcc -O0 -g -S generated.c -o result/generated.s
gcc result/generated.o -o result/program
result/program
