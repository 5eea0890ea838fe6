/**
 * Underlay endpoints inside messages.
 *
 *   family u8 (4 | 6) | address 4 B or 16 B, network order | port u16
 *   none:  family u8 = 0
 *   list:  count u8 | that many endpoints
 */
import { assert } from "../base/assert.ts";
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import { type Endpoint, type Ip, ipFromBytes, ipToBytes } from "../base/net.ts";

/** What an endpoint takes at most, for sizing datagrams. */
export const MAX_ENDPOINT_BYTES = 19;

const NOWHERE: Endpoint = { ip: "0.0.0.0", port: 0 };

/** The endpoint's address must be canonical text, its port 1..65535. */
export function writeEndpoint(writer: ByteWriter, endpoint: Endpoint): ByteWriter {
  assert(endpoint.port > 0 && endpoint.port <= 0xffff, "port of an endpoint");
  return writeIp(writer, endpoint.ip).u16(endpoint.port);
}

/** A bad family or port 0 clears `reader.ok`; the value is then meaningless. */
export function readEndpoint(reader: ByteReader): Endpoint {
  return readEndpointAfter(reader, reader.u8());
}

export function writeOptionalEndpoint(
  writer: ByteWriter,
  endpoint: Endpoint | undefined,
): ByteWriter {
  return endpoint === undefined ? writer.u8(0) : writeEndpoint(writer, endpoint);
}

export function readOptionalEndpoint(reader: ByteReader): Endpoint | undefined {
  const family = reader.u8();
  return family === 0 ? undefined : readEndpointAfter(reader, family);
}

/** @param max at most 255; a longer list is a bug of the caller */
export function writeEndpoints(
  writer: ByteWriter,
  endpoints: readonly Endpoint[],
  max: number,
): ByteWriter {
  assert(endpoints.length <= max, "length of an endpoint list");
  writer.u8(endpoints.length);
  for (const endpoint of endpoints) writeEndpoint(writer, endpoint);
  return writer;
}

/** A list longer than `max` clears `reader.ok` and gives an empty list. */
export function readEndpoints(reader: ByteReader, max: number): Endpoint[] {
  const count = reader.u8();
  if (count > max) reader.ok = false;
  const endpoints: Endpoint[] = [];
  for (let i = 0; i < count && reader.ok; i++) endpoints.push(readEndpoint(reader));
  return endpoints;
}

/** An address alone: family u8 | 4 B or 16 B. */
export function writeIp(writer: ByteWriter, ip: Ip): ByteWriter {
  const bytes = ipToBytes(ip);
  assert(bytes.length > 0, "text of an IP address");
  return writer.u8(bytes.length === 4 ? 4 : 6).bytes(bytes);
}

/** A bad family clears `reader.ok`. */
export function readIp(reader: ByteReader): Ip {
  return readIpAfter(reader, reader.u8());
}

function readEndpointAfter(reader: ByteReader, family: number): Endpoint {
  const ip = readIpAfter(reader, family);
  const port = reader.u16();
  if (port === 0) reader.ok = false;
  return reader.ok ? { ip, port } : NOWHERE;
}

function readIpAfter(reader: ByteReader, family: number): Ip {
  if (family !== 4 && family !== 6) reader.ok = false;
  const bytes = reader.bytes(family === 6 ? 16 : 4);
  return reader.ok ? ipFromBytes(bytes) : NOWHERE.ip;
}
