/* System calls that never wait, made without giving up the interpreter's lock.

   os.read, os.write and epoll.poll let other threads run during the call, as it could wait for long. A worker
   has no thread that would want to, and on its descriptors the call does not wait: to give the lock back and
   take it again costs as much as all else that Python does about the call. What these take, return and raise
   is what os.read, os.write, epoll.poll(0, most) and libc's timerfd_settime do, but no keywords; see
   nonblocking.py, which falls back to those. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#include <sys/timerfd.h>
#endif

#define SMALL 4096      /* bytes that are read to the stack first, so that no room is given back */
#define MOST_EVENTS 512 /* of epoll.py */
#define NS_A_SECOND 1000000000LL

/* After a signal that came before anything else did: its handler runs, and the call is made again (PEP 475). */
static int
try_again(void)
{
    return errno == EINTR && PyErr_CheckSignals() == 0;
}

static PyObject *
failure(void)
{
    return PyErr_Occurred() ? NULL : PyErr_SetFromErrno(PyExc_OSError);
}

/* Its value as a C int; -1 with an error set if it is none, or too large. */
static int
as_int(PyObject *object)
{
    long value = PyLong_AsLong(object);
    if (value < INT_MIN || value > INT_MAX) {
        PyErr_SetString(PyExc_OverflowError, "does not fit into a C int");
        return -1;
    }
    return (int)value;
}

/* Every call takes a descriptor and something else; whether it did, with the first of them in `fd`. */
static int
takes_two(const char *name, PyObject *const *arguments, Py_ssize_t count, int *fd)
{
    if (count != 2) {
        PyErr_Format(PyExc_TypeError, "%s takes 2 arguments, got %zd", name, count);
        return 0;
    }
    *fd = as_int(arguments[0]);
    return *fd != -1 || !PyErr_Occurred();
}

static PyObject *
nonblocking_read(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    char small[SMALL];
    PyObject *data = NULL;
    char *room = small;
    Py_ssize_t got;
    int fd;

    if (!takes_two("read", arguments, count, &fd)) {
        return NULL;
    }
    Py_ssize_t most = PyLong_AsSsize_t(arguments[1]);
    if (most == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (most < 0) {
        errno = EINVAL;
        return failure();
    }
    if (most > SMALL) {
        data = PyBytes_FromStringAndSize(NULL, most);
        if (data == NULL) {
            return NULL;
        }
        room = PyBytes_AS_STRING(data);
    }
    do {
        got = read(fd, room, (size_t)most);
    } while (got < 0 && try_again());
    if (got < 0) {
        int number = errno;
        Py_XDECREF(data);
        errno = number;
        return failure();
    }
    if (data == NULL) {
        return PyBytes_FromStringAndSize(small, got);
    }
    if (got < most) {
        _PyBytes_Resize(&data, got); /* on failure, it has set the error and `data` to NULL */
    }
    return data;
}

static PyObject *
nonblocking_write(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    Py_ssize_t written;
    int fd;

    if (!takes_two("write", arguments, count, &fd)) {
        return NULL;
    }
    if (!PyBytes_Check(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "write takes bytes");
        return NULL;
    }
    do {
        written = write(fd, PyBytes_AS_STRING(arguments[1]), (size_t)PyBytes_GET_SIZE(arguments[1]));
    } while (written < 0 && try_again());
    return written < 0 ? failure() : PyLong_FromSsize_t(written);
}

#ifdef __linux__

static PyObject *
nonblocking_poll(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    struct epoll_event ready[MOST_EVENTS];
    int found, epoll;

    if (!takes_two("poll", arguments, count, &epoll)) {
        return NULL;
    }
    int most = as_int(arguments[1]);
    if (most == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (most < 1 || most > MOST_EVENTS) {
        PyErr_Format(PyExc_ValueError, "got %d events at a look, want 1 to %d", most, MOST_EVENTS);
        return NULL;
    }
    do {
        found = epoll_wait(epoll, ready, most, 0);
    } while (found < 0 && try_again());
    if (found < 0) {
        return failure();
    }
    PyObject *events = PyList_New(found);
    for (int i = 0; events != NULL && i < found; i++) {
        PyObject *event = PyTuple_New(2);
        PyObject *fd = PyLong_FromLong(ready[i].data.fd);
        PyObject *flags = PyLong_FromUnsignedLong(ready[i].events);
        if (event == NULL || fd == NULL || flags == NULL) {
            Py_XDECREF(event);
            Py_XDECREF(fd);
            Py_XDECREF(flags);
            Py_CLEAR(events);
            break;
        }
        PyTuple_SET_ITEM(event, 0, fd);
        PyTuple_SET_ITEM(event, 1, flags);
        PyList_SET_ITEM(events, i, event);
    }
    return events;
}

static PyObject *
nonblocking_set_timer(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    int fd;

    if (!takes_two("set_timer", arguments, count, &fd)) {
        return NULL;
    }
    long long when = PyLong_AsLongLong(arguments[1]);
    if (when == -1 && PyErr_Occurred()) {
        return NULL;
    }
    struct itimerspec once = {
        .it_value = {.tv_sec = (time_t)(when / NS_A_SECOND), .tv_nsec = (long)(when % NS_A_SECOND)}
    };
    if (timerfd_settime(fd, TFD_TIMER_ABSTIME, &once, NULL) != 0) {
        return failure();
    }
    Py_RETURN_NONE;
}

#endif

static PyMethodDef methods[] = {
    {"read", (PyCFunction)(void (*)(void))nonblocking_read, METH_FASTCALL,
     "read(fd, most): up to so many bytes, as os.read; b'' at the end of the file. Raises OSError."},
    {"write", (PyCFunction)(void (*)(void))nonblocking_write, METH_FASTCALL,
     "write(fd, data): how many bytes of it were taken, as os.write. Raises OSError."},
#ifdef __linux__
    {"poll", (PyCFunction)(void (*)(void))nonblocking_poll, METH_FASTCALL,
     "poll(epoll_fd, most): up to so many (fd, flags) that are ready, 1 to 512. Raises OSError, ValueError."},
    {"set_timer", (PyCFunction)(void (*)(void))nonblocking_set_timer, METH_FASTCALL,
     "set_timer(fd, when_ns): let a timerfd fire once at this moment of its clock. Raises OSError."},
#endif
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "loadtool.engine._nonblocking",
    .m_doc = "System calls that never wait, made without giving up the interpreter's lock.",
    .m_size = 0,
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit__nonblocking(void)
{
    return PyModuleDef_Init(&definition);
}
