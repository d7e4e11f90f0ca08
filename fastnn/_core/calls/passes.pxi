# The forward and backward passes of threads that share a network.
#
# Each thread has the activations of its own last forward pass. All threads share one array of
# gradients: after a thread's `backward`, no other thread may overwrite it until this thread reads
# `grads`. Without these checks, a thread could read the numbers of another thread unnoticed.
#
# Between a check and the assignments that belong to it no Python code runs, so the critical section
# or the GIL stays with the thread.

cdef object current_thread = threading.current_thread

cdef str ADVICE = (
    "Use loss_and_grad or vjp, which any thread may call, or a copy of the network for each thread "
    "(copy.deepcopy)"
)


@cython.final
cdef class Passes:
    """The checks for threads that call forward, backward and fit of one network.

    A moment is (the count of fits, whether `grads` was free). A pass is (x in the shape that it
    came in, the activations, whether it was in training mode, the moment when it began).
    """

    cdef object own                 # of each thread: its last forward pass
    cdef Py_ssize_t fits            # counts each begin and each end of a fit
    cdef bint running               # whether a backward pass is running
    cdef object writer              # the thread whose `backward` wrote `grads`, until it reads them
    cdef Py_ssize_t fits_at_write

    def __cinit__(self):
        self.own = threading.local()

    @cython.critical_section
    cpdef tuple now(self):
        """Return the present moment, at the beginning of a forward pass."""
        return self.fits, self.writer is None or not self.belongs_to_another(current_thread())

    cpdef void keep(self, tuple done) except *:
        """Keep a forward pass for this thread's `backward`."""
        self.own.kept = done

    @cython.critical_section
    cpdef tuple kept(self):
        """Return this thread's last forward pass.

        Raises RuntimeError if there was none since the construction or the last fit.
        """
        cdef tuple done = getattr(self.own, "kept", None)
        if done is None or <Py_ssize_t>done[3][0] != self.fits:
            raise RuntimeError(
                "backward needs a forward pass of this thread since the last fit; call forward(X) "
                "first")
        return done

    @cython.critical_section
    cpdef void begin_backward(self, tuple moment) except *:
        """Reserve `grads` for the backward pass of a forward pass that began at that moment.

        Raises RuntimeError if another thread has begun a fit, is in `backward`, or has not read its
        gradient.
        """
        cdef Py_ssize_t fits = moment[0]
        cdef bint free = moment[1]
        cdef object thread = current_thread()
        cdef bint blocked = self.belongs_to_another(thread) or not free
        if fits != self.fits:
            raise RuntimeError("another thread has begun to train this network")
        if self.running or blocked:
            raise RuntimeError(
                "backward would overwrite grads: another thread's backward wrote a gradient, "
                f"and had not read it when this thread called forward. {ADVICE}")
        self.running = True
        self.fits_at_write = fits
        self.writer = thread

    @cython.critical_section
    cpdef void end_backward(self) noexcept:
        """Mark the end of the backward pass."""
        self.running = False

    @cython.critical_section
    def begin_fit(self):
        """Mark the beginning of a fit, which makes all earlier forward passes invalid.

        Raises RuntimeError if another thread is in `backward`.
        """
        cdef bint others = self.belongs_to_another(current_thread())
        if self.running:
            raise RuntimeError("another thread is in backward of this network")
        self.fits += 1
        if not others:
            self.writer = None

    @cython.critical_section
    def end_fit(self):
        """Mark the end of a fit, which makes the forward passes during the fit invalid."""
        self.fits += 1

    @cython.critical_section
    def read(self):
        """Check that `grads` still holds the gradient that this thread wrote, if it wrote one.

        Raises RuntimeError if another thread's fit has overwritten the gradient.
        """
        if self.writer is not None and self.writer is current_thread():
            self.writer = None
            if self.fits != self.fits_at_write:
                raise RuntimeError(
                    "another thread's fit has overwritten the gradient that backward wrote into "
                    f"grads in this thread. {ADVICE}")

    cdef bint belongs_to_another(self, object thread) except -1:
        """Return whether another living thread has not yet read its gradient in `grads`."""
        cdef object writer = None
        cdef bint alive = False
        while self.writer is not writer:  # `is_alive` is Python code, and the writer may change
            writer = self.writer
            alive = writer is not None and writer is not thread and writer.is_alive()
        return alive
