/** A program that stands for an old server. */

/** A server of a time before there was a protocol version. */
export const OUTDATED = `#!/usr/bin/env python3
import json, sys
while header := sys.stdin.buffer.readline():
    length = int(header.split(b":")[1]); sys.stdin.buffer.readline()
    message = json.loads(sys.stdin.buffer.read(length))
    if message.get("method") == "exit":
        break
    if "id" in message:
        first = message["method"] == "initialize"
        result = {"capabilities": {}, "serverInfo": {"name": "osmosis-lsp", "version": "0.0.1"}} if first else None
        body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
        sys.stdout.buffer.write(b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body)
        sys.stdout.buffer.flush()
`;
