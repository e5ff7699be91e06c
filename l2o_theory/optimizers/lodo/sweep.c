/* Sweeps of the preconditioner G = alpha0 [I 0] Gt^T Gt [I 0]^T, Gt = B_1 P_1 ... B_N P_N, on one CPU thread.

   Compiled by native.py at first use, once for each REAL (float, double) and block size K: with K known, the compiler
   unrolls the loops over a block and keeps it in registers. layers.py states the same in tensor operations and is the
   reference. Memory traffic decides the time, so every loop below reads the blocks of a layer once, in order.

   blocks [depth][count][K][K]; lines = count * K; (P x)_j = x[perm[j]].

   A permutation read line by line costs an access to memory for each once a vector does not fit the cache. So vectors
   go from layer to layer dealt: the lines that a layer meets are cut into buckets of BUCKET_LINES, small enough for the
   cache, and each bucket holds its lines in the order in which the next layer, on the side of N, has them. Dealing is
   sequential within each bucket, and the layer finds its lines by random access to one bucket at a time:

     bucket[layer][i]  the bucket into which line i on the far side of P_layer is dealt: perm^-1[i] / BUCKET_LINES
     place[layer][j]   where line j of the layer lies within its bucket

   Bucket number q begins at q * STRIDE: a little more than its size, or all buckets would fight for one set of the
   cache. */

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

static BITS largest_of(const REAL *values, int64_t count) {
  BITS most = 0;
  for (int64_t i = 0; i < count; i++) most = larger(most, magnitude(values[i]));
  return most;
}

/* Asked for before they are needed: the blocks and their moments 8 KiB ahead, the lines of a bucket one cache line ahead
   of its cursor, and the next bucket while this one is worked on. The processor's own guesses come too late: there are
   as many streams as buckets. */
enum { BUCKET_BLOCKS = BUCKET_LINES / K, STRIDE = BUCKET_LINES + SKEW, TILE = 64 };
enum { NEAR = 64 / sizeof(REAL), FAR = 8192 / sizeof(REAL) };

static inline void ask_ahead(const REAL *block) {
  for (int e = 0; e < K * K; e += NEAR) __builtin_prefetch(block + FAR + e, 0, 2);
}

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* cursor[q] <- the beginning of bucket q. */
static void rewind_all(int64_t *restrict cursor, int64_t count) {
  for (int64_t q = 0; q * BUCKET_BLOCKS < count; q++) cursor[q] = q * STRIDE;
}

/* lines <- Gt lines. dealt[i] keeps what layer i met; largest[i] is its largest magnitude, entries[i] that of its
   blocks. */
void ascend(const REAL *blocks, const int16_t *places, const BUCKET *buckets, REAL *lines, REAL *dealt,
            int64_t *restrict cursor, double *largest, double *entries, int64_t depth, int64_t count, int64_t room) {
  if (!depth) return;
  const BUCKET *restrict last = buckets + (depth - 1) * count * K;
  REAL *restrict start = dealt + (depth - 1) * room;
  rewind_all(cursor, count);
  for (int64_t i = 0; i < count * K; i++) start[cursor[last[i]]++] = lines[i];
  for (int64_t layer = depth - 1; layer >= 0; layer--) {
    const REAL *restrict block = blocks + layer * count * K * K;
    const int16_t *restrict place = places + layer * count * K;
    const BUCKET *restrict bucket = layer ? buckets + (layer - 1) * count * K : 0;
    const REAL *restrict in = dealt + layer * room;
    REAL *restrict out = layer ? dealt + (layer - 1) * room : lines;
    BITS most = 0, entry = 0;
    rewind_all(cursor, count);
    for (int64_t begin = 0; begin < count; begin += BUCKET_BLOCKS, in += STRIDE) {
      const int64_t end = smaller(begin + BUCKET_BLOCKS, count);
      most = larger(most, largest_of(in, (end - begin) * K));
      for (int64_t b = begin; b < end; b++, block += K * K, place += K) {
        if ((b - begin) % TILE == 0) entry = larger(entry, largest_of(block, smaller(TILE, end - b) * K * K));
        REAL a[K], product[K * K], sums[K];
        __builtin_prefetch(in + STRIDE + (b - begin) * K, 0, 2);
        ask_ahead(block);
        for (int c = 0; c < K; c++) a[c] = in[place[c]];
        for (int r = 0; r < K; r++)
          for (int c = 0; c < K; c++) product[r * K + c] = block[r * K + c] * a[c];
        for (int r = 0; r < K; r++) {
          REAL sum = 0;
          for (int c = 0; c < K; c++) sum += product[r * K + c];
          sums[r] = sum;
        }
        if (bucket) {
          for (int r = 0; r < K; r++) {
            const int64_t to = cursor[bucket[r]]++;
            out[to] = sums[r];
            __builtin_prefetch(out + to + NEAR, 1);
          }
          bucket += K;
        } else {
          for (int r = 0; r < K; r++) out[b * K + r] = sums[r];
        }
      }
    }
    largest[layer] = number(most);
    entries[layer] = number(entry);
  }
}

/* lines <- Gt^T lines. largest[i] is the largest magnitude of what the transposed blocks of layer i met. spare holds
   two dealt vectors. */
void descend(const REAL *blocks, const int16_t *places, const BUCKET *buckets, REAL *lines, REAL *spare,
             int64_t *restrict cursor, double *largest, int64_t depth, int64_t count, int64_t room) {
  if (!depth) return;
  BITS most = largest_of(lines, count * K);
  for (int64_t layer = 0; layer < depth; layer++) {
    const REAL *restrict block = blocks + layer * count * K * K;
    const int16_t *restrict place = places + layer * count * K;
    const BUCKET *restrict bucket = layer ? buckets + (layer - 1) * count * K : 0;
    const REAL *restrict in = layer ? spare + (layer - 1) % 2 * room : lines;
    REAL *restrict out = spare + layer % 2 * room;
    largest[layer] = number(most);
    most = 0;
    rewind_all(cursor, count);
    for (int64_t begin = 0; begin < count; begin += BUCKET_BLOCKS, out += STRIDE) {
      const int64_t end = smaller(begin + BUCKET_BLOCKS, count);
      for (int64_t b = begin; b < end; b++, block += K * K, place += K) {
        REAL d[K], sum[K] = {0};
        __builtin_prefetch(out + STRIDE + (b - begin) * K, 1, 2);
        ask_ahead(block);
        if (bucket) {
          for (int r = 0; r < K; r++) {
            const int64_t at = cursor[bucket[r]]++;
            d[r] = in[at];
            __builtin_prefetch(in + at + NEAR, 0);
          }
          bucket += K;
        } else {
          for (int r = 0; r < K; r++) d[r] = in[b * K + r];
        }
        for (int r = 0; r < K; r++) {
          for (int c = 0; c < K; c++) sum[c] += block[r * K + c] * d[r];
        }
        for (int c = 0; c < K; c++) out[place[c]] = sum[c];
      }
      most = larger(most, largest_of(out, (end - begin) * K));
    }
  }
  const BUCKET *restrict last = buckets + (depth - 1) * count * K;
  const REAL *end = spare + (depth - 1) % 2 * room;
  rewind_all(cursor, count);
  for (int64_t i = 0; i < count * K; i++) lines[i] = end[cursor[last[i]]++];
}

/* One more way down, with the tops of m and of g together; each block is replaced as soon as both have passed it:

     h = -alpha (d_m a_g^T + d_g a_m^T),   F += b1 (h - F),   S += b2 (h^2 - S),   block -= rate F / (sqrt S + eps)

   with b1, b2 one minus the usual ones; block -= rate h if F is null. What the layers met on the way up, a_m and a_g,
   is replaced by what goes down: both lie in the same places. */
void learn(REAL *blocks, REAL *first, REAL *second, const int16_t *places, const BUCKET *buckets, const REAL *top_m,
           const REAL *top_g, REAL *dealt_m, REAL *dealt_g, int64_t *restrict cursor, double alpha, double rate,
           double b1, double b2, double eps, int64_t depth, int64_t count, int64_t room) {
  const REAL scale = (REAL)-alpha, speed = (REAL)rate, quick = (REAL)b1, slow = (REAL)b2, guard = (REAL)eps;
  for (int64_t layer = 0; layer < depth; layer++) {
    REAL *restrict block = blocks + layer * count * K * K;
    REAL *restrict f = first ? first + layer * count * K * K : 0;
    REAL *restrict s = first ? second + layer * count * K * K : 0;
    const int16_t *restrict place = places + layer * count * K;
    const BUCKET *restrict bucket = layer ? buckets + (layer - 1) * count * K : 0;
    const REAL *restrict in_m = layer ? dealt_m + (layer - 1) * room : top_m;
    const REAL *restrict in_g = layer ? dealt_g + (layer - 1) * room : top_g;
    REAL *restrict out_m = dealt_m + layer * room;
    REAL *restrict out_g = dealt_g + layer * room;
    rewind_all(cursor, count);
    for (int64_t begin = 0; begin < count; begin += BUCKET_BLOCKS, out_m += STRIDE, out_g += STRIDE) {
      const int64_t end = smaller(begin + BUCKET_BLOCKS, count);
      for (int64_t b = begin; b < end; b++, block += K * K, place += K) {
        REAL d_m[K], d_g[K], a_m[K], a_g[K], sum_m[K] = {0}, sum_g[K] = {0}, h[K * K];
        __builtin_prefetch(out_m + STRIDE + (b - begin) * K, 1, 2);
        __builtin_prefetch(out_g + STRIDE + (b - begin) * K, 1, 2);
        ask_ahead(block);
        if (bucket) {
          for (int r = 0; r < K; r++) {
            const int64_t at = cursor[bucket[r]]++;
            d_m[r] = in_m[at];
            d_g[r] = in_g[at];
            __builtin_prefetch(in_m + at + NEAR, 0);
            __builtin_prefetch(in_g + at + NEAR, 0);
          }
          bucket += K;
        } else {
          for (int r = 0; r < K; r++) d_m[r] = in_m[b * K + r];
          for (int r = 0; r < K; r++) d_g[r] = in_g[b * K + r];
        }
        for (int c = 0; c < K; c++) a_m[c] = out_m[place[c]];
        for (int c = 0; c < K; c++) a_g[c] = out_g[place[c]];
        for (int r = 0; r < K; r++)
          for (int c = 0; c < K; c++) {
            sum_m[c] += block[r * K + c] * d_m[r];
            sum_g[c] += block[r * K + c] * d_g[r];
            h[r * K + c] = scale * (d_m[r] * a_g[c] + d_g[r] * a_m[c]);
          }
        if (first) {
          ask_ahead(f);
          ask_ahead(s);
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
        for (int c = 0; c < K; c++) out_m[place[c]] = sum_m[c];
        for (int c = 0; c < K; c++) out_g[place[c]] = sum_g[c];
      }
    }
  }
}
