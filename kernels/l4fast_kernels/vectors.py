"""The LLVM code that each function of `blocks` is compiled to.

One vector expression over ``<64 x i8>`` each; LLVM lowers it to AVX-512, AVX2, SSE or NEON. Imported
only where something is compiled, for numba is slow to import.
"""

import inspect

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable
from numba.np import arrayobj

from l4fast_kernels import blocks
from l4fast_kernels.blocks import BLOCK_KEY, FOLD_KEYS, LANE_KEYS, MARK, MASK64

_BYTE = ir.IntType(8)
_WORD = ir.IntType(64)
_BLOCK = ir.VectorType(_BYTE, 64)
_LANES = ir.VectorType(_WORD, 8)
_HALF = ir.VectorType(_WORD, 4)


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
    return builder.add(ir.Constant(_LANES, list(LANE_KEYS)), _spread(builder, key))


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
    for i, fold_key in enumerate(FOLD_KEYS):
        part = builder.extract_element(both, ir.Constant(ir.IntType(32), i))
        total = builder.add(total, builder.mul(part, ir.Constant(_WORD, fold_key)))
    return builder.xor(total, builder.lshr(total, ir.Constant(_WORD, 32)))


def _valid(builder, n_valid):
    """Return the lowest ``n_valid`` bits set; 1 to 64."""
    return builder.lshr(ir.Constant(_WORD, MASK64), builder.sub(ir.Constant(_WORD, 64), n_valid))


def _stands_for(function, result, *arguments):
    """Decorate what generates the code of a call of ``function``; ``types.Array`` is any array."""

    def register(generate):
        def kinds(*given):
            pairs = zip(given, arguments, strict=True)
            return result(*(kind if wanted is types.Array else wanted for kind, wanted in pairs))

        kinds.pysig = inspect.signature(function)
        type_callable(function)(lambda context: kinds)
        lower_builtin(function, *arguments)(generate)
        return generate

    return register


_PAIR = types.UniTuple(types.uint64, 2)


@_stands_for(blocks.trailing_zeros, types.int64, types.uint64)
def _trailing_zeros(context, builder, signature, args):
    return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))


@_stands_for(blocks.leading_zeros, types.int64, types.uint64)
def _leading_zeros(context, builder, signature, args):
    return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))


@_stands_for(blocks.eight_bytes, types.uint64, types.Array, types.int64)
def _eight_bytes(context, builder, signature, args):
    return _load(context, builder, signature.args[0], args[0], args[1], _WORD)


@_stands_for(blocks.line_ends, _PAIR, types.Array, types.int64)
def _line_ends(context, builder, signature, args):
    block = _load(context, builder, signature.args[0], args[0], args[1])
    newline = builder.bitcast(builder.icmp_unsigned("==", block, _splat(10)), _WORD)
    carriage = builder.bitcast(builder.icmp_unsigned("==", block, _splat(13)), _WORD)
    return cgutils.pack_array(builder, [newline, carriage])


@_stands_for(blocks.escape_bits, types.uint64, types.Array, types.int64)
def _escape_bits(context, builder, signature, args):
    array, offset = args
    block, following = (
        _load(context, builder, signature.args[0], array, at)
        for at in (offset, builder.add(offset, ir.Constant(_WORD, 1)))
    )
    in_json = builder.and_(
        builder.icmp_unsigned("==", block, _splat(92)),
        builder.icmp_unsigned("==", following, _splat(117)),
    )
    escapes = builder.or_(builder.icmp_unsigned("==", block, _splat(27)), in_json)
    return builder.bitcast(escapes, _WORD)


@_stands_for(blocks.word_bits, _PAIR, types.Array, types.int64, types.int64)
def _word_bits(context, builder, signature, args):
    block = _load(context, builder, signature.args[0], args[0], args[1])
    valid = _valid(builder, args[2])
    word, digit = (builder.and_(bits, valid) for bits in _classes(builder, block))
    return cgutils.pack_array(builder, [word, _masked_bits(builder, word, digit)])


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
        next_keys = builder.add(keys, _splat(BLOCK_KEY, _WORD, 8))
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


def _nothing_to_mask(builder, block, valid):
    return ir.Constant(_WORD, 0)


_HASHED = (types.uint64, types.Array, types.int64, types.int64, types.uint64)
_stands_for(blocks.kept_hash, *_HASHED)(_line_hash(_nothing_to_mask))
_stands_for(blocks.layout_hash, *_HASHED)(_line_hash(_words_to_mask))
