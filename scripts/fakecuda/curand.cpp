// libcurand: linked, never called.
