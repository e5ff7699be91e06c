/* Sweeps of the preconditioner G = alpha0 [I 0] Gt^T Gt [I 0]^T, Gt = B_1 P_1 ... B_N P_N, on one CPU thread.

   Compiled by native.py at first use, once for each REAL (float, double) and block size K: with K known, the compiler
   unrolls the loops over a block and keeps it in registers. layers.py states the same in tensor operations and is the
   reference. Memory traffic decides the time, so every loop below reads the blocks of a layer once, in order.

   blocks [depth][count][K][K], permutations [depth][lines], lines = count * K, (P x)_j = x[perm[j]]. */

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Absolute values compare like their bits read as whole numbers, and NaN above infinity: no NaN is lost in a maximum. */
static inline BITS magnitude(REAL value) {
  BITS bits;
  memcpy(&bits, &value, sizeof bits);
  return bits & (BITS)~((BITS)1 << (8 * sizeof bits - 1));
}

static inline double number(BITS bits) {
  REAL value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline BITS larger(BITS a, BITS b) { return a > b ? a : b; }

/* Permuted places are asked for this many blocks before they are needed: beyond 10^5 lines they are not in the cache. */
enum { AHEAD = 64 / K + 1 };

static inline int64_t pair_of(int64_t line) { return 2 * line - line % K; }

/* lines <- Gt lines. inputs[i] keeps what layer i met, if not null; largest[i] is its largest magnitude. */
void ascend(const REAL *blocks, const int32_t *permutations, REAL *lines, REAL *spare, REAL *inputs, double *largest,
            int64_t depth, int64_t count) {
  REAL *from = lines, *to = spare;
  for (int64_t layer = depth - 1; layer >= 0; layer--) {
    const REAL *restrict block = blocks + layer * count * K * K;
    const int32_t *restrict source = permutations + layer * count * K;
    const REAL *restrict in = from;
    REAL *restrict out = to;
    REAL *restrict kept = inputs + layer * count * K;
    BITS most = 0;
    for (int64_t b = 0; b < count; b++, block += K * K, source += K, kept += K, out += K) {
      REAL a[K], product[K * K];
      if (b + AHEAD < count)
        for (int c = 0; c < K; c++) __builtin_prefetch(in + source[c + AHEAD * K], 0);
      for (int c = 0; c < K; c++) a[c] = in[source[c]];
      for (int c = 0; c < K; c++) kept[c] = a[c];
      for (int c = 0; c < K; c++) most = larger(most, magnitude(a[c]));
      for (int r = 0; r < K; r++)
        for (int c = 0; c < K; c++) product[r * K + c] = block[r * K + c] * a[c];
      for (int r = 0; r < K; r++) {
        REAL sum = 0;
        for (int c = 0; c < K; c++) sum += product[r * K + c];
        out[r] = sum;
      }
    }
    largest[layer] = number(most);
    REAL *swap = from;
    from = to;
    to = swap;
  }
  if (from != lines) memcpy(lines, from, sizeof(REAL) * count * K);
}

/* lines <- Gt^T lines. largest[i] is the largest magnitude of what the transposed blocks of layer i met. */
void descend(const REAL *blocks, const int32_t *permutations, REAL *lines, REAL *spare, double *largest, int64_t depth,
             int64_t count) {
  REAL *from = lines, *to = spare;
  for (int64_t layer = 0; layer < depth; layer++) {
    const REAL *restrict block = blocks + layer * count * K * K;
    const int32_t *restrict target = permutations + layer * count * K;
    const REAL *restrict in = from;
    REAL *restrict out = to;
    BITS most = 0;
    for (int64_t b = 0; b < count; b++, block += K * K, target += K, in += K) {
      REAL sum[K] = {0};
      if (b + AHEAD < count)
        for (int c = 0; c < K; c++) __builtin_prefetch(out + target[c + AHEAD * K], 1);
      for (int r = 0; r < K; r++) {
        most = larger(most, magnitude(in[r]));
        for (int c = 0; c < K; c++) sum[c] += block[r * K + c] * in[r];
      }
      for (int c = 0; c < K; c++) out[target[c]] = sum[c];
    }
    largest[layer] = number(most);
    REAL *swap = from;
    from = to;
    to = swap;
  }
  if (from != lines) memcpy(lines, from, sizeof(REAL) * count * K);
}

/* One more way down, with the tops of m and of g together; each block is replaced as soon as both have passed it:

     h = -alpha (d_m a_g^T + d_g a_m^T),   F += b1 (h - F),   S += b2 (h^2 - S),   block -= rate F / (sqrt S + eps)

   with b1, b2 one minus the usual ones; block -= rate h if F is null. Pairs hold K entries for m, then K for g. */
void learn(REAL *blocks, REAL *first, REAL *second, const int32_t *permutations, const REAL *inputs_m,
           const REAL *inputs_g, REAL *pairs, REAL *spare, double alpha, double rate, double b1, double b2, double eps,
           int64_t depth, int64_t count) {
  const REAL scale = (REAL)-alpha, speed = (REAL)rate, quick = (REAL)b1, slow = (REAL)b2, guard = (REAL)eps;
  REAL *from = pairs, *to = spare;
  for (int64_t layer = 0; layer < depth; layer++) {
    const int64_t begin = layer * count * K;
    REAL *restrict block = blocks + begin * K;
    REAL *restrict f = first ? first + begin * K : 0;
    REAL *restrict s = first ? second + begin * K : 0;
    const int32_t *restrict target = permutations + begin;
    const REAL *restrict a_m = inputs_m + begin;
    const REAL *restrict a_g = inputs_g + begin;
    const REAL *restrict d = from;
    REAL *restrict out = to;
    for (int64_t b = 0; b < count; b++, block += K * K, target += K, a_m += K, a_g += K, d += 2 * K) {
      REAL sum_m[K] = {0}, sum_g[K] = {0}, h[K * K];
      if (b + AHEAD < count)
        for (int c = 0; c < K; c++) __builtin_prefetch(out + pair_of(target[c + AHEAD * K]), 1);
      for (int r = 0; r < K; r++)
        for (int c = 0; c < K; c++) {
          sum_m[c] += block[r * K + c] * d[r];
          sum_g[c] += block[r * K + c] * d[K + r];
          h[r * K + c] = scale * (d[r] * a_g[c] + d[K + r] * a_m[c]);
        }
      if (first) {
        for (int e = 0; e < K * K; e++) {
          const REAL mean = f[e] + quick * (h[e] - f[e]);
          const REAL square = s[e] + slow * (h[e] * h[e] - s[e]);
          f[e] = mean;
          s[e] = square;
          block[e] -= speed * mean / (ROOT(square) + guard);
        }
        f += K * K;
        s += K * K;
      } else {
        for (int e = 0; e < K * K; e++) block[e] -= speed * h[e];
      }
      for (int c = 0; c < K; c++) {
        const int64_t pair = pair_of(target[c]);
        out[pair] = sum_m[c];
        out[pair + K] = sum_g[c];
      }
    }
    REAL *swap = from;
    from = to;
    to = swap;
  }
}
