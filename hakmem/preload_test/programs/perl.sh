# perl: a large hash, sorting, string building, regular expressions, a fork.
set -eu
export PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0
perl -e '
use strict; use warnings;
my ($x, %count, @all) = (42);
sub pick { $x = ($x * 1103515245 + 12345) & 0x7fffffff; return ($x >> 8) % $_[0]; }
for my $i (1 .. 200000) {
    my $word = join "", map { chr(97 + pick(7)) } 1 .. 1 + pick(6);
    $count{$word}++;
    push @all, $word x (1 + $i % 5);
}
my @order = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
print scalar(@order), " $_=$count{$_}\n" for @order[0 .. 9];
my $text = join " ", @all;
my $hits = () = $text =~ /\b(?:ab|cd)\w*g\b/g;
print length($text), " $hits\n";
(my $other = $text) =~ s/([a-c]+)/<$1>/g;
print length($other), "\n";
my %nested;
push @{ $nested{substr($_, 0, 2)}{length $_} }, $_ for @order;
print join(",", map { "$_:" . scalar(keys %{ $nested{$_} }) } sort keys %nested), "\n";
open my $child, "-|" or do { print scalar(reverse $order[0] x 1000), "\n"; exit 0 };
print while <$child>;
close $child or die;
open my $out, ">", "result/sorted" or die;
print $out "$_\n" for sort @all;
close $out or die;
'
