"""Resources that assets of every system may ask for."""
