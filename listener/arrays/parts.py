"""The parts of this wing, wired."""

from typing import Any

from listener.arrays.library import Library
from listener.arrays.session import StreamSession
from listener.arrays.sources import Sources
from listener.arrays.stream import Stream


class Arrays:
    def __init__(self, library: Library, sources: Sources) -> None:
        self.library = library
        self.stream = Stream(sources)
        self.session = StreamSession(self.stream)

    async def run(self) -> None:
        await self.stream.run()

    def health(self) -> dict[str, Any]:
        return {
            "connections": self.stream.connections,
            "streaming": self.stream.is_streaming,
            "arrays": len(self.library),
            "octets": self.library.octets,
            "packets": self.stream.packets,
            "skipped": self.stream.skipped,
        }

    def metrics(self) -> dict[str, float]:
        return {
            "les02_arrays_clients": self.stream.connections,
            "les02_arrays_streaming": self.stream.is_streaming,
            "les02_arrays_stored": len(self.library),
            "les02_arrays_stored_bytes": self.library.octets,
            "les02_arrays_packets_total": self.stream.packets,
            "les02_arrays_skipped_packets_total": self.stream.skipped,
        }

    def told(self) -> dict[str, Any]:
        """In the words of the field's clients."""
        return {
            "status": "healthy",
            "streaming": self.stream.is_streaming,
            "connections": self.stream.connections,
            "arrays_stored": len(self.library),
        }
