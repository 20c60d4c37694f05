export TOKEN=$(toolgate token \
  --url http://localhost:10000 --endpoint web-search \
  --scope 'web-search:read docs:read')
curl http://localhost:10000/api/tools/web-search/echo \
  -H "Authorization: Bearer $TOKEN" \
  -H 'Content-Type: application/json' \
  -d '{"text":"text"}'
curl http://localhost:10000/web-search/mcp \
  -H "Authorization: Bearer $TOKEN" \
  -H 'Content-Type: application/json' \
  -H 'Accept: application/json, text/event-stream' \
  -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/list' \
  -d '{
  "jsonrpc": "2.0",
  "id": 1,
  "method": "tools/list",
  "params": {
    "_meta": {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientInfo": {
        "name": "curl",
        "version": "8"
      },
      "io.modelcontextprotocol/clientCapabilities": {}
    }
  }
}'
