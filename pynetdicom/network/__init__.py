"""Sockets, threads and clocks: connections, their listener's lobby, and the DUL service."""
