/* The number of threads that a parallel region may have.
 *
 * libgomp ends the process if the system cannot start a thread. So each thread that enters parallel
 * regions first tests, once for each larger number, whether so many threads can be started.
 */
#include <Python.h>
#if defined(_OPENMP) && !defined(_WIN32)
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

static void *fastnn_pass_gate(void *gate) {
    pthread_mutex_lock((pthread_mutex_t *)gate);
    pthread_mutex_unlock((pthread_mutex_t *)gate);
    return NULL;
}

/* Return whether n threads can run at the same time. */
static int fastnn_can_start(int n) {
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t *threads = (pthread_t *)malloc((size_t)n * sizeof(pthread_t));
    int started = 0;
    if (threads == NULL)
        return 0;
    pthread_mutex_lock(&gate);
    while (started < n && !pthread_create(&threads[started], NULL, fastnn_pass_gate, &gate))
        started++;
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    return started == n;
}

static void fastnn_warn_of_one_thread(void) {
    static int warned = 0;
    PyGILState_STATE state = PyGILState_Ensure();
    if (!__atomic_exchange_n(&warned, 1, __ATOMIC_RELAXED)) { /* several threads may be here */
        if (PyErr_WarnEx(PyExc_RuntimeWarning,
                         "the system lets this process start no further thread; fastnn computes on "
                         "one. The limits on processes (ulimit -u) and on memory (ulimit -v) are "
                         "common reasons", 1) < 0)
            PyErr_WriteUnraisable(NULL); /* an error cannot be passed to the caller from here */
    }
    PyGILState_Release(state);
}

/* Return n, or 1 if n threads cannot be started. */
static int fastnn_startable(int n) {
    static __thread int tried = 1, refused = INT_MAX;
    if (n >= refused)
        return 1;
    if (n > tried) {
        /* twice as many, since the system counts a thread for a moment after its end */
        if (!fastnn_can_start(2 * (n - 1))) {
            refused = n;
            fastnn_warn_of_one_thread();
            return 1;
        }
        tried = n;
    }
    return n;
}
#else
static int fastnn_startable(int n) { return n; }
#endif
