"""64 bytes at a time: what they are, and a hash of what is left when words with digits are masked.

Each function is one LLVM vector expression over ``<64 x i8>``; LLVM lowers it to AVX-512,
AVX2, SSE or NEON. Under ``NUMBA_DISABLE_JIT=1`` an intrinsic cannot run, so each has a
Python twin with the same name, which is also its readable meaning.

The caller guarantees that 64 bytes may be read from every offset that it passes.
"""

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

_BYTE = ir.IntType(8)
_WORD = ir.IntType(64)
_BLOCK = ir.VectorType(_BYTE, 64)
_LANES = ir.VectorType(_WORD, 8)
_HALF = ir.VectorType(_WORD, 4)

# Odd 64-bit constants; the process key is added to them, so they need only differ.
_LANE_KEYS = (
    0xA24BAED4963EE407,
    0x9FB21C651E98DF25,
    0xD1B54A32D192ED03,
    0x8CB92BA72F3D8DD7,
    0xDB4F0B9175AE2165,
    0xBBE0563303A4615F,
    0x60642E2A34326F15,
    0xAF36D01EF7518DBB,
)
_FOLD_KEYS = (0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3, 0x589965CC75374CC3, 0x1D8E4E27C47D124F)
_BLOCK_KEY = 0x9E3779B97F4A7C15  # added to the keys from block to block
# Masked bytes are replaced by this one. Every digit lies in a masked word, so a digit
# cannot stand in what is kept, and the layout of a line keeps its full length.
MARK = 0x30
_MASK64 = (1 << 64) - 1


def _splat(value, kind=_BYTE, lanes=64):
    return ir.Constant(ir.VectorType(kind, lanes), [value] * lanes)


def _load(context, builder, array_type, array, offset, kind=_BLOCK):
    data = arrayobj.make_array(array_type)(context, builder, array).data
    pointer = builder.bitcast(builder.gep(data, [offset]), kind.as_pointer())
    block = builder.load(pointer)
    block.align = 1
    return block


def _classes(builder, block):
    """Bit sets of word bytes and of digits."""
    digit = builder.icmp_unsigned("<", builder.sub(block, _splat(48)), _splat(10))
    folded = builder.or_(block, _splat(32))
    letter = builder.icmp_unsigned("<", builder.sub(folded, _splat(97)), _splat(26))
    underscore = builder.icmp_unsigned("==", block, _splat(95))
    high = builder.icmp_signed("<", block, _splat(0))
    word = builder.or_(builder.or_(digit, letter), builder.or_(underscore, high))
    return builder.bitcast(word, _WORD), builder.bitcast(digit, _WORD)


def _masked_bits(builder, word, digit):
    """Flood each word that holds a digit: forwards by a carry, backwards by doubling shifts."""
    one = ir.Constant(_WORD, 1)
    first = builder.and_(word, builder.not_(builder.shl(word, one)))
    plain = builder.and_(word, builder.not_(digit))
    # Adding the first bit of a word to its plain bytes carries up to its first digit.
    carried = builder.add(first, plain)
    first_digit = builder.and_(carried, digit)
    forward = builder.and_(word, builder.not_(builder.add(word, first_digit)))
    reach = builder.and_(plain, builder.not_(carried))
    flood = first_digit
    for shift in (1, 2, 4, 8, 16, 32):
        by = ir.Constant(_WORD, shift)
        flood = builder.or_(flood, builder.and_(reach, builder.lshr(flood, by)))
        if shift != 32:
            reach = builder.and_(reach, builder.lshr(reach, by))
    return builder.or_(forward, flood)


def _spread(builder, value):
    """Return eight lanes of one 64-bit value."""
    undefined = ir.Constant(_LANES, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), 8), [0] * 8))


def _lane_keys(builder, key):
    return builder.add(ir.Constant(_LANES, list(_LANE_KEYS)), _spread(builder, key))


def _products(builder, lanes, keys):
    """NH over eight lanes (Black et al. 1999, UMAC), each sum of 32-bit halves kept apart."""
    keyed = builder.xor(lanes, keys)
    low = builder.and_(keyed, _splat(0xFFFFFFFF, _WORD, 8))
    high = builder.lshr(keyed, _splat(32, _WORD, 8))
    # A product of zero would lose the other half, so the raw lane is added, rotated.
    turned = builder.or_(builder.shl(lanes, _splat(21, _WORD, 8)), builder.lshr(lanes, _splat(43, _WORD, 8)))
    return builder.add(builder.mul(low, high), turned)


def _fold(builder, product):
    """A multilinear fold of eight lanes to 64 bits."""
    index = ir.VectorType(ir.IntType(32), 4)
    front = builder.shuffle_vector(product, product, ir.Constant(index, [0, 1, 2, 3]))
    back = builder.shuffle_vector(product, product, ir.Constant(index, [4, 5, 6, 7]))
    both = builder.add(front, builder.xor(back, builder.lshr(back, _splat(31, _WORD, 4))))
    total = ir.Constant(_WORD, 0)
    for i, fold_key in enumerate(_FOLD_KEYS):
        part = builder.extract_element(both, ir.Constant(ir.IntType(32), i))
        total = builder.add(total, builder.mul(part, ir.Constant(_WORD, fold_key)))
    return builder.xor(total, builder.lshr(total, ir.Constant(_WORD, 32)))


def _valid(builder, n_valid):
    """Return the lowest ``n_valid`` bits set; 1 to 64."""
    return builder.lshr(ir.Constant(_WORD, _MASK64), builder.sub(ir.Constant(_WORD, 64), n_valid))


if config.DISABLE_JIT:

    def trailing_zeros(bits):
        """Return the position of the lowest set bit of a uint64, 64 if there is none."""
        bits = int(bits)
        return (bits & -bits).bit_length() - 1 if bits else 64

    def leading_zeros(bits):
        """Return how many bits of a uint64 are zero above the highest that is set."""
        return 64 - int(bits).bit_length()

    def eight_bytes(buf, offset):
        """Return 8 bytes as a uint64."""
        return np.uint64(int.from_bytes(bytes(int(b) for b in buf[offset : offset + 8]), "little"))

    def line_ends(buf, offset):
        """Return the bit sets of ``\\n`` and of ``\\r`` in 64 bytes."""
        newline = carriage = 0
        for i in range(64):
            byte = int(buf[offset + i])
            newline |= (byte == 10) << i
            carriage |= (byte == 13) << i
        return newline, carriage

    def escape_bits(buf, offset):
        """Return the bit set of escapes, and of backslashes before a ``u``, in 64 bytes."""
        pairs = ((int(buf[offset + i]), int(buf[offset + i + 1])) for i in range(64))
        return np.uint64(sum((a == 27 or (a, b) == (92, 117)) << i for i, (a, b) in enumerate(pairs)))

    def word_bits(buf, offset, n_valid):
        """Return the bit sets of word bytes, and of words that hold a digit, in ``n_valid`` bytes."""
        block = bytes(int(b) for b in buf[offset : offset + n_valid])
        word = sum(_is_word(byte) << i for i, byte in enumerate(block))
        masked = sum((byte == MARK and word >> i & 1) << i for i, byte in enumerate(_marked(block)))
        return np.uint64(word), np.uint64(masked)

    def kept_hash(buf, begin, end, key):
        """Return a 64-bit hash of ``buf[begin:end]``."""
        return _hash(
            [bytes(int(b) for b in buf[at : min(at + 64, end)]) for at in range(begin, end, 64)], key
        )

    def layout_hash(buf, begin, end, key):
        """Return a 64-bit hash of ``buf[begin:end]``, words with a digit masked, at their positions."""
        blocks = (bytes(int(b) for b in buf[at : min(at + 64, end)]) for at in range(begin, end, 64))
        return _hash([_marked(block) for block in blocks], key)

    def _marked(block):
        out = bytearray(block)
        i = 0
        while i < len(block):
            j = i
            while j < len(block) and _is_word(block[j]):
                j += 1
            if any(48 <= b < 58 for b in block[i:j]):
                out[i:j] = bytes([MARK]) * (j - i)
            i = max(j, i + 1)
        return bytes(out)

    def _hash(blocks, key):
        lane_keys = [(lane_key + int(key)) & _MASK64 for lane_key in _LANE_KEYS]
        sums = [0] * 8
        for block in blocks:
            padded = block.ljust(64, bytes([MARK]))
            for k in range(8):
                lane = int.from_bytes(padded[8 * k : 8 * k + 8], "little")
                keyed = lane ^ lane_keys[k]
                turned = ((lane << 21) & _MASK64) | (lane >> 43)
                sums[k] = (sums[k] + (keyed & 0xFFFFFFFF) * (keyed >> 32) + turned) & _MASK64
            lane_keys = [(lane_key + _BLOCK_KEY) & _MASK64 for lane_key in lane_keys]
        total = 0
        for i, fold_key in enumerate(_FOLD_KEYS):
            part = (sums[i] + (sums[i + 4] ^ (sums[i + 4] >> 31))) & _MASK64
            total = (total + part * fold_key) & _MASK64
        return np.uint64(total ^ (total >> 32))

    def _is_word(byte):
        return 48 <= byte < 58 or 97 <= (byte | 32) < 123 or byte == 95 or byte >= 128

else:

    @intrinsic
    def trailing_zeros(typing_context, bits):
        """Return the position of the lowest set bit of a uint64, 64 if there is none."""

        def generate(context, builder, signature, args):
            return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

        return types.int64(types.uint64), generate

    @intrinsic
    def leading_zeros(typing_context, bits):
        """Return how many bits of a uint64 are zero above the highest that is set."""

        def generate(context, builder, signature, args):
            return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

        return types.int64(types.uint64), generate

    @intrinsic
    def eight_bytes(typing_context, buf, offset):
        """Return 8 bytes as a uint64."""

        def generate(context, builder, signature, args):
            return _load(context, builder, signature.args[0], args[0], args[1], _WORD)

        return types.uint64(buf, types.int64), generate

    @intrinsic
    def line_ends(typing_context, buf, offset):
        """Return the bit sets of ``\\n`` and of ``\\r`` in 64 bytes."""
        result = types.UniTuple(types.uint64, 2)

        def generate(context, builder, signature, args):
            block = _load(context, builder, signature.args[0], args[0], args[1])
            newline = builder.bitcast(builder.icmp_unsigned("==", block, _splat(10)), _WORD)
            carriage = builder.bitcast(builder.icmp_unsigned("==", block, _splat(13)), _WORD)
            return cgutils.pack_array(builder, [newline, carriage])

        return result(buf, types.int64), generate

    def _escapes(context, builder, array_type, array, offset):
        block, following = (
            _load(context, builder, array_type, array, at)
            for at in (offset, builder.add(offset, ir.Constant(_WORD, 1)))
        )
        in_json = builder.and_(
            builder.icmp_unsigned("==", block, _splat(92)),
            builder.icmp_unsigned("==", following, _splat(117)),
        )
        return builder.or_(builder.icmp_unsigned("==", block, _splat(27)), in_json)

    @intrinsic
    def escape_bits(typing_context, buf, offset):
        """Return the bit set of escapes, and of backslashes before a ``u``, in 64 bytes."""

        def generate(context, builder, signature, args):
            return builder.bitcast(_escapes(context, builder, signature.args[0], *args), _WORD)

        return types.uint64(buf, types.int64), generate

    @intrinsic
    def word_bits(typing_context, buf, offset, n_valid):
        """Return the bit sets of word bytes, and of words that hold a digit, in ``n_valid`` bytes."""
        result = types.UniTuple(types.uint64, 2)

        def generate(context, builder, signature, args):
            block = _load(context, builder, signature.args[0], args[0], args[1])
            valid = _valid(builder, args[2])
            word, digit = (builder.and_(bits, valid) for bits in _classes(builder, block))
            return cgutils.pack_array(builder, [word, _masked_bits(builder, word, digit)])

        return result(buf, types.int64, types.int64), generate

    def _line_hash(marked_bits):
        """Return the code of a hash over ``buf[begin:end]``, a block of 64 bytes after the other."""

        def generate(context, builder, signature, args):
            begin, end, key = args[1:]
            entry, loop, done = builder.block, *(builder.append_basic_block(n) for n in ("loop", "done"))
            first_keys = _lane_keys(builder, key)
            builder.cbranch(builder.icmp_signed("<", begin, end), loop, done)
            builder.position_at_end(loop)
            at, sums, keys = (builder.phi(kind) for kind in (_WORD, _LANES, _LANES))
            left = builder.sub(end, at)
            whole = builder.icmp_signed(">", left, ir.Constant(_WORD, 64))
            valid = _valid(builder, builder.select(whole, ir.Constant(_WORD, 64), left))
            block = _load(context, builder, signature.args[0], args[0], at)
            # Bytes behind the end are marked too: the length tells them from masked ones.
            marked = builder.or_(marked_bits(builder, block, valid), builder.not_(valid))
            bits = builder.bitcast(marked, ir.VectorType(ir.IntType(1), 64))
            lanes = builder.bitcast(builder.select(bits, _splat(MARK), block), _LANES)
            next_sums = builder.add(sums, _products(builder, lanes, keys))
            next_keys = builder.add(keys, _splat(_BLOCK_KEY, _WORD, 8))
            next_at = builder.add(at, ir.Constant(_WORD, 64))
            at.add_incoming(begin, entry)
            at.add_incoming(next_at, loop)
            sums.add_incoming(_splat(0, _WORD, 8), entry)
            sums.add_incoming(next_sums, loop)
            keys.add_incoming(first_keys, entry)
            keys.add_incoming(next_keys, loop)
            builder.cbranch(whole, loop, done)
            builder.position_at_end(done)
            total = builder.phi(_LANES)
            total.add_incoming(_splat(0, _WORD, 8), entry)
            total.add_incoming(next_sums, loop)
            return _fold(builder, total)

        return generate

    def _words_to_mask(builder, block, valid):
        return _masked_bits(builder, *(builder.and_(bits, valid) for bits in _classes(builder, block)))

    @intrinsic
    def kept_hash(typing_context, buf, begin, end, key):
        """Return a 64-bit hash of ``buf[begin:end]``."""
        nothing = ir.Constant(_WORD, 0)
        return types.uint64(buf, types.int64, types.int64, types.uint64), _line_hash(lambda *_: nothing)

    @intrinsic
    def layout_hash(typing_context, buf, begin, end, key):
        """Return a 64-bit hash of ``buf[begin:end]``, words with a digit masked, at their positions."""
        return types.uint64(buf, types.int64, types.int64, types.uint64), _line_hash(_words_to_mask)
