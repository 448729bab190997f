"""Result -> what people and machines see. Rendering returns a string or a renderable; only `cli` prints."""
