/* The skeleton of a JSON body, in C: see `rest_forms`, which has the same in Python.

   bytes.translate takes a branch for each byte, and text of numbers is where a processor guesses
   wrong. Here 64 bytes become one mask of what stays, and only that is walked through. SSE2 is what
   every x86-64 has; elsewhere this does not compile, and Python's way is taken. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <emmintrin.h>
#include <stdint.h>

#define BLOCK 64
#define ALONE_BYTES_MIN (64 * 1024) /* from here on other threads may run meanwhile */

/* Of 16 bytes, a bit for each that is part of no number and no blank. */
static inline uint64_t
kept_of_16(const unsigned char *from)
{
    const __m128i bytes = _mm_loadu_si128((const __m128i *)from);
#define IS(character) _mm_cmpeq_epi8(bytes, _mm_set1_epi8(character))
    /* + , - . / 0 … 9 follow each other; an unsigned byte is in the range if it is the lesser. */
    const __m128i place = _mm_sub_epi8(bytes, _mm_set1_epi8('+'));
    const __m128i in_range =
        _mm_cmpeq_epi8(place, _mm_min_epu8(place, _mm_set1_epi8('9' - '+')));
    const __m128i number = _mm_andnot_si128(_mm_or_si128(IS(','), IS('/')), in_range);
    const __m128i exponent = _mm_or_si128(IS('e'), IS('E'));
    const __m128i blank =
        _mm_or_si128(_mm_or_si128(IS(' '), IS('\t')), _mm_or_si128(IS('\r'), IS('\n')));
#undef IS
    const __m128i dropped = _mm_or_si128(number, _mm_or_si128(exponent, blank));
    return ~(unsigned)_mm_movemask_epi8(dropped) & 0xFFFF;
}

static inline uint64_t
kept_of_64(const unsigned char *from)
{
    return kept_of_16(from) | kept_of_16(from + 16) << 16 | kept_of_16(from + 32) << 32 |
           kept_of_16(from + 48) << 48;
}

/* Writes what is kept of `size` bytes, which never is more, and returns where it ends. */
static unsigned char *
keep(const unsigned char *from, Py_ssize_t size, unsigned char *to)
{
    Py_ssize_t at = 0;
    for (; size - at >= BLOCK; at += BLOCK)
        for (uint64_t kept = kept_of_64(from + at); kept; kept &= kept - 1)
            *to++ = from[at + __builtin_ctzll(kept)];
    unsigned char last[BLOCK];
    memset(last, '0', BLOCK); /* which is not kept */
    memcpy(last, from + at, (size_t)(size - at));
    for (uint64_t kept = kept_of_64(last); kept; kept &= kept - 1)
        *to++ = last[__builtin_ctzll(kept)];
    return to;
}

static PyObject *
skeleton(PyObject *Py_UNUSED(module), PyObject *body)
{
    Py_buffer view;
    if (PyObject_GetBuffer(body, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    PyObject *result = PyBytes_FromStringAndSize(NULL, view.len);
    if (result != NULL) {
        unsigned char *const start = (unsigned char *)PyBytes_AS_STRING(result);
        unsigned char *end;
        if (view.len < ALONE_BYTES_MIN)
            end = keep(view.buf, view.len, start);
        else {
            Py_BEGIN_ALLOW_THREADS
            end = keep(view.buf, view.len, start);
            Py_END_ALLOW_THREADS
        }
        _PyBytes_Resize(&result, end - start); /* NULL, with an exception, if it fails */
    }
    PyBuffer_Release(&view);
    return result;
}

static PyMethodDef methods[] = {
    {"skeleton", skeleton, METH_O, "What is left of a body without numbers and blanks."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "eas_processor.codec._skeleton",
    .m_doc = "The skeleton of a JSON body.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__skeleton(void)
{
    return PyModuleDef_Init(&definition);
}
