-- SPDX-License-Identifier: BSD-3-Clause
--
-- Wireshark's eyes for VMBus traces of a network adapter (doc/trace.md): packets of a channel
-- (spec/vmbus-ring.md), NVSP (spec/nvsp.md), RNDIS with the NDIS objects that it carries
-- (spec/rndis.md), and the frames inside. Requests lead to their answers and packets to their
-- completions; what breaks the protocol has expert information.
--
-- One file: Wireshark runs every file that it finds in its folder of plugins for itself, and
-- -X lua_script names one.
--
-- For Wireshark and tshark from 4.0 on. tshark needs -2 to say in a request where its answer is.
--
-- A field's abbreviation is that of its protocol and its name here: vmbus.tid, nvsp.type, rndis.oid.

local hv = Proto("hvtrace", "Hyper-V Trace Record")
local vmbus = Proto("vmbus", "VMBus Channel Packet")
local nvsp = Proto("nvsp", "Network VSP Protocol")
local rndis = Proto("rndis", "Remote NDIS")

local LINKTYPE = 9 -- LINKTYPE_USER9
local HEADER = 40 -- bytes in front of a packet
local NO_TID = "18446744073709551613" -- of packets that want no completion

hv.prefs.frames = Pref.bool("Dissect frames", true, "Show what is in the Ethernet frames")

-- ---- numbers and their names ----

local PACKET = { [6] = "in-band", [7] = "transfer pages", [9] = "GPA direct", [11] = "completion" }
local NVSP_VERSION = {
	[0x00002] = "1", [0x30002] = "2", [0x40000] = "4", [0x50000] = "5", [0x60000] = "6",
	[0x60001] = "6.1",
}
local NVSP = {
	[1] = "INIT", [2] = "INIT_COMPLETE", [100] = "NDIS_VERSION", [101] = "SEND_RECV_BUF",
	[102] = "RECV_BUF_COMPLETE", [103] = "REVOKE_RECV_BUF", [104] = "SEND_SEND_BUF",
	[105] = "SEND_BUF_COMPLETE", [106] = "REVOKE_SEND_BUF", [107] = "RNDIS_PKT",
	[108] = "RNDIS_PKT_COMPLETE", [125] = "NDIS_CONFIG", [128] = "VF_ASSOCIATION",
	[129] = "SWITCH_DATA_PATH", [130] = "UPLINK_CONNECT_STATE", [131] = "OID_QUERY_EX",
	[132] = "OID_QUERY_EX_COMPLETE", [133] = "SUBCHANNEL", [134] = "SEND_INDIRECTION_TABLE",
	[135] = "PD_API", [136] = "PD_POST_BATCH",
}
local NVSP_STATUS = {
	[0] = "none", [1] = "success", [2] = "failure", [3] = "too new", [4] = "too old",
	[5] = "invalid RNDIS packet", [6] = "busy", [7] = "unsupported",
}
-- What answers what; 129 is answered by nothing in it.
local NVSP_ANSWER = { [1] = 2, [101] = 102, [104] = 105, [107] = 108, [131] = 132, [133] = 133 }
local TO_HOST = { [1] = true, [100] = true, [101] = true, [103] = true, [104] = true, [106] = true,
	[107] = true, [108] = true, [125] = true, [129] = true, [131] = true, [133] = true,
	[135] = true, [136] = true }
local TO_GUEST = { [2] = true, [102] = true, [105] = true, [107] = true, [108] = true,
	[128] = true, [129] = true, [130] = true, [132] = true, [133] = true, [134] = true,
	[135] = true, [136] = true }
local RNDIS = {
	[1] = "PACKET", [2] = "INITIALIZE", [3] = "HALT", [4] = "QUERY", [5] = "SET", [6] = "RESET",
	[7] = "INDICATE_STATUS", [8] = "KEEPALIVE", [0x80000002] = "INITIALIZE_C",
	[0x80000004] = "QUERY_C", [0x80000005] = "SET_C", [0x80000006] = "RESET_C",
	[0x80000008] = "KEEPALIVE_C",
}
local RNDIS_STATUS = {
	[0] = "success", [0x103] = "pending", [0x10003] = "not accepted",
	[0x80000005] = "buffer overflow", [0xc0000001] = "failure", [0xc000009a] = "resources",
	[0xc00000bb] = "not supported", [0xc0010002] = "closing", [0xc0010004] = "bad version",
	[0xc0010009] = "multicast list full", [0xc001000d] = "reset in progress",
	[0xc001000f] = "invalid packet", [0xc0010011] = "adapter not ready",
	[0xc0010014] = "invalid length", [0xc0010015] = "invalid data",
	[0xc0010016] = "buffer too short", [0xc0010017] = "invalid OID",
	[0x4001000b] = "media connect", [0x4001000c] = "media disconnect",
	[0x40010013] = "link speed change", [0x40010018] = "network change",
	[0x40020006] = "task offload current config",
}
local OID = {
	[0x00010101] = "GEN_SUPPORTED_LIST", [0x00010102] = "GEN_HARDWARE_STATUS",
	[0x00010103] = "GEN_MEDIA_SUPPORTED", [0x00010104] = "GEN_MEDIA_IN_USE",
	[0x00010105] = "GEN_MAXIMUM_LOOKAHEAD", [0x00010106] = "GEN_MAXIMUM_FRAME_SIZE",
	[0x00010107] = "GEN_LINK_SPEED", [0x00010108] = "GEN_TRANSMIT_BUFFER_SPACE",
	[0x00010109] = "GEN_RECEIVE_BUFFER_SPACE", [0x0001010a] = "GEN_TRANSMIT_BLOCK_SIZE",
	[0x0001010b] = "GEN_RECEIVE_BLOCK_SIZE", [0x0001010c] = "GEN_VENDOR_ID",
	[0x0001010d] = "GEN_VENDOR_DESCRIPTION", [0x0001010e] = "GEN_CURRENT_PACKET_FILTER",
	[0x0001010f] = "GEN_CURRENT_LOOKAHEAD", [0x00010110] = "GEN_DRIVER_VERSION",
	[0x00010111] = "GEN_MAXIMUM_TOTAL_SIZE", [0x00010113] = "GEN_MAC_OPTIONS",
	[0x00010114] = "GEN_MEDIA_CONNECT_STATUS", [0x00010115] = "GEN_MAXIMUM_SEND_PACKETS",
	[0x00010116] = "GEN_VENDOR_DRIVER_VERSION", [0x00010118] = "GEN_NETWORK_LAYER_ADDRESSES",
	[0x00010203] = "GEN_RECEIVE_SCALE_CAPABILITIES",
	[0x00010204] = "GEN_RECEIVE_SCALE_PARAMETERS", [0x00010206] = "GEN_MAX_LINK_SPEED",
	[0x00010207] = "GEN_LINK_STATE", [0x0001021b] = "GEN_RNDIS_CONFIG_PARAMETER",
	[0x0001021c] = "GEN_VLAN_ID", [0x00020101] = "GEN_XMIT_OK", [0x00020102] = "GEN_RCV_OK",
	[0x00020103] = "GEN_XMIT_ERROR", [0x00020104] = "GEN_RCV_ERROR",
	[0x00020105] = "GEN_RCV_NO_BUFFER", [0x00020106] = "GEN_STATISTICS",
	[0x00020201] = "GEN_DIRECTED_BYTES_XMIT", [0x00020202] = "GEN_DIRECTED_FRAMES_XMIT",
	[0x00020203] = "GEN_MULTICAST_BYTES_XMIT", [0x00020204] = "GEN_MULTICAST_FRAMES_XMIT",
	[0x00020205] = "GEN_BROADCAST_BYTES_XMIT", [0x00020206] = "GEN_BROADCAST_FRAMES_XMIT",
	[0x00020207] = "GEN_DIRECTED_BYTES_RCV", [0x00020208] = "GEN_DIRECTED_FRAMES_RCV",
	[0x00020209] = "GEN_MULTICAST_BYTES_RCV", [0x0002020a] = "GEN_MULTICAST_FRAMES_RCV",
	[0x0002020b] = "GEN_BROADCAST_BYTES_RCV", [0x0002020c] = "GEN_BROADCAST_FRAMES_RCV",
	[0x00020216] = "GEN_FRIENDLY_NAME", [0x00020219] = "GEN_BYTES_RCV",
	[0x0002021a] = "GEN_BYTES_XMIT", [0x01010101] = "802_3_PERMANENT_ADDRESS",
	[0x01010102] = "802_3_CURRENT_ADDRESS", [0x01010103] = "802_3_MULTICAST_LIST",
	[0x01010104] = "802_3_MAXIMUM_LIST_SIZE", [0x0101010a] = "OFFLOAD_ENCAPSULATION",
	[0x01020101] = "802_3_RCV_ERROR_ALIGNMENT", [0x01020102] = "802_3_XMIT_ONE_COLLISION",
	[0x01020103] = "802_3_XMIT_MORE_COLLISIONS", [0xfc01020b] = "TCP_OFFLOAD_CURRENT_CONFIG",
	[0xfc01020c] = "TCP_OFFLOAD_PARAMETERS", [0xfc01020d] = "TCP_OFFLOAD_HARDWARE_CAPABILITIES",
}
local PPI = {
	[0] = "TCP/IP checksum", [1] = "IPsec", [2] = "large send", [3] = "classification handle",
	[4] = "reserved", [5] = "scatter-gather list", [6] = "802.1Q", [7] = "original packet",
	[8] = "hash value", [9] = "hash info", [10] = "cached buffer list",
	[11] = "short packet padding", [0x80000001] = "packet id",
}
local OBJECT = { [0x80] = "offload parameters", [0x88] = "RSS capabilities",
	[0x89] = "RSS parameters", [0xa7] = "offload capabilities", [0xa8] = "offload encapsulation" }
local CHECKSUM = { [0] = "no change", [1] = "off", [2] = "transmit", [3] = "receive", [4] = "both" }
local ON_OFF = { [0] = "no change", [1] = "off", [2] = "on" }
local PIECE = { [1] = "send section", [2] = "guest pages", [3] = "receive range" }

-- ---- fields ----

local f = {}

-- A protocol's fields: { name, kind, title, values or base, mask }.
local function fields(proto, list)
	local all = {}
	f[proto.name:lower()] = {}
	for _, d in ipairs(list) do
		local name, kind, title, values, mask = table.unpack(d)
		local abbr, field = proto.name:lower() .. "." .. name, nil
		if kind == "bytes" or kind == "string" or kind == "stringz" or kind == "ether" or
			kind == "none" or kind == "relative_time" then
			field = ProtoField[kind](abbr, title)
		elseif kind == "framenum" then
			field = ProtoField.framenum(abbr, title, base.NONE, values)
		elseif kind == "bool" then
			field = ProtoField.bool(abbr, title, values, nil, mask)
		elseif type(values) == "table" then
			field = ProtoField[kind](abbr, title, mask == "dec" and base.DEC or base.HEX, values,
				type(mask) == "number" and mask or nil)
		else
			field = ProtoField[kind](abbr, title, values or base.DEC, nil, mask)
		end
		f[proto.name:lower()][name] = field
		all[#all + 1] = field
	end
	proto.fields = all
end

local HEX = base.HEX

fields(hv, {
	{ "version", "uint8", "Version" },
	{ "direction", "uint8", "Direction",
		{ [0] = "guest to host", [1] = "host to guest", [2] = "event" }, "dec" },
	{ "channel", "uint16", "Channel" },
	{ "guest", "bool", "Seen from the guest's side", 8, 1 },
	{ "control_only", "bool", "Only control messages are traced", 8, 2 },
	{ "incomplete", "bool", "Cut: not all is there", 8, 4 },
	{ "event", "uint8", "Event", { [0] = "none", [1] = "channel opened", [2] = "channel closed" }, "dec" },
	{ "time", "uint64", "Monotonic time (ns)" },
	{ "packet_length", "uint32", "Bytes of the packet" },
	{ "packet_captured", "uint32", "Bytes of it that are here" },
	{ "recv_length", "uint32", "Bytes of the receive buffer" },
	{ "send_length", "uint32", "Bytes of the send buffer" },
	{ "tap", "uint32", "NIC and who sees it", HEX },
	{ "lost", "uint32", "Records lost before this one" },
	{ "pieces", "uint16", "Pieces of memory that it names" },
	{ "piece", "none", "Piece" },
	{ "piece.kind", "uint16", "Kind", PIECE, 0x7fff },
	{ "piece.unreadable", "bool", "Could not be read", 16, 0x8000 },
	{ "piece.index", "uint16", "Range" },
	{ "piece.offset", "uint32", "Offset, or number of the section" },
	{ "piece.length", "uint32", "Bytes" },
	{ "piece.captured", "uint32", "Bytes that are here" },
})

fields(vmbus, {
	{ "type", "uint16", "Packet type", PACKET },
	{ "offset8", "uint16", "Offset of the payload (8 bytes)" },
	{ "len8", "uint16", "Length (8 bytes)" },
	{ "flags", "uint16", "Flags", HEX },
	{ "completion_requested", "bool", "Completion requested", 16, 1 },
	{ "tid", "uint64", "Transaction id", HEX },
	{ "set", "uint16", "Receive buffer id", HEX },
	{ "owns", "uint8", "Sender owns the set" },
	{ "reserved", "uint32", "Reserved", HEX },
	{ "ranges", "uint32", "Ranges" },
	{ "range", "none", "Range" },
	{ "range.length", "uint32", "Length" },
	{ "range.offset", "uint32", "Offset" },
	{ "range.pfn", "uint64", "Page", HEX },
	{ "payload", "bytes", "Payload" },
	{ "answer_in", "framenum", "Answered in frame", frametype.RESPONSE },
	{ "answer_to", "framenum", "Answer to frame", frametype.REQUEST },
	{ "answer_time", "relative_time", "Time to the answer" },
	{ "section_of", "framenum", "Section is with frame" },
})

fields(nvsp, {
	{ "type", "uint32", "Message", NVSP, "dec" },
	{ "version", "uint32", "Version", NVSP_VERSION },
	{ "version_again", "uint32", "Version, again", NVSP_VERSION },
	{ "deprecated", "uint32", "Deprecated", HEX },
	{ "max_mdl_chain", "uint32", "Longest MDL chain" },
	{ "status", "uint32", "Status", NVSP_STATUS, "dec" },
	{ "ndis_major", "uint32", "NDIS major version" },
	{ "ndis_minor", "uint32", "NDIS minor version" },
	{ "gpadl", "uint32", "GPADL", HEX },
	{ "id", "uint16", "Buffer id", HEX },
	{ "reserved", "uint16", "Reserved", HEX },
	{ "sections", "uint32", "Sections" },
	{ "offset", "uint32", "Offset" },
	{ "section_size", "uint32", "Bytes of a section" },
	{ "section_count", "uint32", "Sub-allocations" },
	{ "end_offset", "uint32", "End" },
	{ "channel_type", "uint32", "Channel type", { [0] = "data", [1] = "control" }, "dec" },
	{ "section_index", "uint32", "Send section" },
	{ "section_bytes", "uint32", "Bytes in the section" },
	{ "mtu", "uint32", "MTU with Ethernet header" },
	{ "mtu_reserved", "uint32", "Reserved", HEX },
	{ "cap", "uint64", "Capabilities", HEX },
	{ "cap.vmq", "bool", "VMQ", 32, 0x01 },
	{ "cap.chimney", "bool", "Chimney", 32, 0x02 },
	{ "cap.sriov", "bool", "SR-IOV", 32, 0x04 },
	{ "cap.vlan", "bool", "802.1Q", 32, 0x08 },
	{ "cap.correlation", "bool", "Correlation id", 32, 0x10 },
	{ "cap.teaming", "bool", "Teaming", 32, 0x20 },
	{ "cap.vsubnet", "bool", "Virtual subnet", 32, 0x40 },
	{ "cap.rsc", "bool", "RSC over VMBus", 32, 0x80 },
	{ "vf_allocated", "uint32", "VF allocated" },
	{ "vf_serial", "uint32", "VF serial number" },
	{ "path", "uint32", "Data path", { [0] = "synthetic", [1] = "VF" }, "dec" },
	{ "object_type", "uint8", "Object type", HEX },
	{ "object_revision", "uint8", "Object revision" },
	{ "object_size", "uint16", "Object size" },
	{ "oid", "uint32", "OID", OID },
	{ "ndis_status", "uint32", "Status", RNDIS_STATUS },
	{ "bytes", "uint32", "Bytes" },
	{ "operation", "uint32", "Operation", { [1] = "allocate" }, "dec" },
	{ "channels", "uint32", "Subchannels asked for" },
	{ "granted", "uint32", "Subchannels granted" },
	{ "table_entries", "uint32", "Entries" },
	{ "table_offset", "uint32", "Offset of the table" },
	{ "table_entry", "uint32", "Channel" },
	{ "padding", "bytes", "Padding to the message size" },
	{ "rest", "bytes", "Contents" },
})

fields(rndis, {
	{ "type", "uint32", "Message", RNDIS },
	{ "length", "uint32", "Message length" },
	{ "request_id", "uint32", "Request id" },
	{ "status", "uint32", "Status", RNDIS_STATUS },
	{ "major", "uint32", "Major version" },
	{ "minor", "uint32", "Minor version" },
	{ "max_transfer", "uint32", "Largest transfer" },
	{ "device_flags", "uint32", "Device flags", HEX },
	{ "medium", "uint32", "Medium", { [0] = "802.3" }, "dec" },
	{ "max_packets", "uint32", "Messages per transfer" },
	{ "alignment", "uint32", "Alignment (power of 2)" },
	{ "af_offset", "uint32", "Address family list offset" },
	{ "af_size", "uint32", "Address family list size" },
	{ "oid", "uint32", "OID", OID },
	{ "info_length", "uint32", "Information buffer length" },
	{ "info_offset", "uint32", "Information buffer offset" },
	{ "vc_handle", "uint32", "VC handle", HEX },
	{ "reserved", "uint32", "Reserved", HEX },
	{ "addressing_reset", "uint32", "Addressing reset" },
	{ "status_length", "uint32", "Status buffer length" },
	{ "status_offset", "uint32", "Status buffer offset" },
	{ "diag_status", "uint32", "Diagnostic status", RNDIS_STATUS },
	{ "error_offset", "uint32", "Offset of the error" },
	{ "data_offset", "uint32", "Data offset" },
	{ "data_length", "uint32", "Data length" },
	{ "oob_offset", "uint32", "Out-of-band data offset" },
	{ "oob_length", "uint32", "Out-of-band data length" },
	{ "oob_count", "uint32", "Out-of-band elements" },
	{ "ppi_offset", "uint32", "Per-packet information offset" },
	{ "ppi_length", "uint32", "Per-packet information length" },
	{ "padding", "bytes", "Padding" },
	{ "frame", "bytes", "Frame" },
	{ "ppi", "none", "Per-packet information" },
	{ "ppi.size", "uint32", "Size" },
	{ "ppi.type", "uint32", "Type", PPI },
	{ "ppi.offset", "uint32", "Offset of the value" },
	{ "ppi.value", "bytes", "Value" },
	{ "csum", "uint32", "Checksum word", HEX },
	{ "csum.ipv4", "bool", "IPv4", 32, 0x1 },
	{ "csum.ipv6", "bool", "IPv6", 32, 0x2 },
	{ "csum.tcp", "bool", "TCP checksum wanted", 32, 0x4 },
	{ "csum.udp", "bool", "UDP checksum wanted", 32, 0x8 },
	{ "csum.ip_header", "bool", "IPv4 header checksum wanted", 32, 0x10 },
	{ "csum.l4_offset", "uint32", "Offset of the L4 header", base.DEC, 0x3ff0000 },
	{ "csum.rx.tcp_failed", "bool", "TCP checksum wrong", 32, 0x1 },
	{ "csum.rx.udp_failed", "bool", "UDP checksum wrong", 32, 0x2 },
	{ "csum.rx.ip_failed", "bool", "IP checksum wrong", 32, 0x4 },
	{ "csum.rx.tcp_ok", "bool", "TCP checksum verified", 32, 0x8 },
	{ "csum.rx.udp_ok", "bool", "UDP checksum verified", 32, 0x10 },
	{ "csum.rx.ip_ok", "bool", "IP checksum verified", 32, 0x20 },
	{ "csum.rx.loopback", "bool", "Loopback", 32, 0x40 },
	{ "csum.rx.tcp_value", "bool", "TCP checksum in the frame is not valid", 32, 0x80 },
	{ "csum.rx.ip_value", "bool", "IP checksum in the frame is not valid", 32, 0x100 },
	{ "lso", "uint32", "Large send word", HEX },
	{ "lso.mss", "uint32", "MSS", base.DEC, 0xfffff },
	{ "lso.tcp_offset", "uint32", "Offset of the TCP header", base.DEC, 0x3ff00000 },
	{ "lso.v2", "bool", "Version 2", 32, 0x40000000 },
	{ "lso.ipv6", "bool", "IPv6", 32, 0x80000000 },
	{ "vlan", "uint32", "802.1Q word", HEX },
	{ "vlan.priority", "uint32", "Priority", base.DEC, 0x7 },
	{ "vlan.cfi", "bool", "CFI", 32, 0x8 },
	{ "vlan.id", "uint32", "VLAN id", base.DEC, 0xfff0 },
	{ "hash", "uint32", "Hash value", HEX },
	{ "hash_info", "uint32", "Hash information", HEX },
	{ "hash.function", "uint32", "Hash function", { [0] = "none", [1] = "Toeplitz" }, 0xff },
	{ "hash.types", "uint32", "Hash types", HEX, 0xffffff00 },
	{ "rsc.version", "uint8", "Version" },
	{ "rsc.flags", "uint8", "Flags", HEX },
	{ "rsc.multi", "bool", "In several sections", 8, 1 },
	{ "rsc.first", "bool", "First", 8, 2 },
	{ "rsc.last", "bool", "Last", 8, 4 },
	{ "rsc.id", "uint16", "Packet id" },
	{ "info", "bytes", "Information buffer" },
	{ "value", "uint32", "Value" },
	{ "value64", "uint64", "Value" },
	{ "text", "string", "Text" },
	{ "mac", "ether", "Address" },
	{ "oid_listed", "uint32", "OID", OID },
	{ "filter", "uint32", "Packet filter", HEX },
	{ "filter.directed", "bool", "Directed", 32, 0x1 },
	{ "filter.multicast", "bool", "Multicast", 32, 0x2 },
	{ "filter.all_multicast", "bool", "All multicast", 32, 0x4 },
	{ "filter.broadcast", "bool", "Broadcast", 32, 0x8 },
	{ "filter.promiscuous", "bool", "Promiscuous", 32, 0x20 },
	{ "link_speed", "uint32", "Link speed (100 bit/s)" },
	{ "connected", "uint32", "Media", { [0] = "connected", [1] = "disconnected" }, "dec" },
	{ "link.state", "uint32", "State", { [0] = "not known", [1] = "up", [2] = "down" }, "dec" },
	{ "link.duplex", "uint32", "Duplex", { [0] = "not known", [1] = "half", [2] = "full" }, "dec" },
	{ "link.tx_speed", "uint64", "Transmit speed (bit/s)" },
	{ "link.rx_speed", "uint64", "Receive speed (bit/s)" },
	{ "link.pause", "uint32", "Pause functions" },
	{ "link.autoneg", "uint32", "Negotiation flags", HEX },
	{ "change", "uint32", "Change",
		{ [1] = "possible", [2] = "definite", [3] = "from connect" }, "dec" },
	{ "object.type", "uint8", "Object type", OBJECT },
	{ "object.revision", "uint8", "Revision" },
	{ "object.size", "uint16", "Size" },
	{ "offload.encap", "uint32", "Encapsulation", HEX },
	{ "offload.csum4_tx", "uint32", "IPv4 transmit checksums", HEX },
	{ "offload.csum4_rx", "uint32", "IPv4 receive checksums", HEX },
	{ "offload.csum6_tx", "uint32", "IPv6 transmit checksums", HEX },
	{ "offload.csum6_rx", "uint32", "IPv6 receive checksums", HEX },
	{ "offload.lso1", "uint32", "Large send version 1", HEX },
	{ "offload.ipsec", "uint32", "IPsec", HEX },
	{ "offload.lso4_max", "uint32", "Large send IPv4, most bytes" },
	{ "offload.lso4_min", "uint32", "Large send IPv4, least segments" },
	{ "offload.lso6_max", "uint32", "Large send IPv6, most bytes" },
	{ "offload.lso6_min", "uint32", "Large send IPv6, least segments" },
	{ "offload.lso6_options", "uint32", "Large send IPv6, options", HEX },
	{ "offload.flags", "uint8", "Flags", HEX },
	{ "offload.ipsec2", "bytes", "IPsec version 2" },
	{ "offload.rsc4", "uint8", "RSC over IPv4" },
	{ "offload.rsc6", "uint8", "RSC over IPv6" },
	{ "offload.nvgre", "uint32", "NVGRE", HEX },
	{ "offload.max_header", "uint32", "Largest header" },
	{ "params.ip4", "uint8", "IPv4 checksum", CHECKSUM, "dec" },
	{ "params.tcp4", "uint8", "TCP over IPv4 checksum", CHECKSUM, "dec" },
	{ "params.udp4", "uint8", "UDP over IPv4 checksum", CHECKSUM, "dec" },
	{ "params.tcp6", "uint8", "TCP over IPv6 checksum", CHECKSUM, "dec" },
	{ "params.udp6", "uint8", "UDP over IPv6 checksum", CHECKSUM, "dec" },
	{ "params.lso1", "uint8", "Large send version 1", ON_OFF, "dec" },
	{ "params.ipsec1", "uint8", "IPsec version 1", ON_OFF, "dec" },
	{ "params.lso4", "uint8", "Large send IPv4", ON_OFF, "dec" },
	{ "params.lso6", "uint8", "Large send IPv6", ON_OFF, "dec" },
	{ "params.connection4", "uint8", "TCP connection IPv4", ON_OFF, "dec" },
	{ "params.connection6", "uint8", "TCP connection IPv6", ON_OFF, "dec" },
	{ "params.flags", "uint32", "Flags", HEX },
	{ "params.ipsec2", "uint8", "IPsec version 2", ON_OFF, "dec" },
	{ "params.ipsec2_4", "uint8", "IPsec version 2 IPv4", ON_OFF, "dec" },
	{ "params.rsc4", "uint8", "RSC over IPv4", ON_OFF, "dec" },
	{ "params.rsc6", "uint8", "RSC over IPv6", ON_OFF, "dec" },
	{ "params.encap", "uint8", "Encapsulation",
		{ [0] = "none", [1] = "on", [2] = "off" }, "dec" },
	{ "params.encap_types", "uint8", "Encapsulation types", HEX },
	{ "encap.enabled4", "uint32", "IPv4 enabled", { [1] = "on", [2] = "off" }, "dec" },
	{ "encap.type4", "uint32", "IPv4 type", HEX },
	{ "encap.header4", "uint32", "IPv4 header size" },
	{ "encap.enabled6", "uint32", "IPv6 enabled", { [1] = "on", [2] = "off" }, "dec" },
	{ "encap.type6", "uint32", "IPv6 type", HEX },
	{ "encap.header6", "uint32", "IPv6 header size" },
	{ "rss.caps", "uint32", "Capabilities", HEX },
	{ "rss.messages", "uint32", "Interrupt messages" },
	{ "rss.queues", "uint32", "Receive queues" },
	{ "rss.entries", "uint16", "Table entries" },
	{ "rss.flags", "uint16", "Flags", HEX },
	{ "rss.disable", "bool", "Disable", 16, 0x10 },
	{ "rss.base_cpu", "uint16", "Base CPU" },
	{ "rss.hash_info", "uint32", "Hash function and types", HEX },
	{ "rss.table_size", "uint16", "Table size" },
	{ "rss.table_offset", "uint32", "Table offset" },
	{ "rss.key_size", "uint16", "Key size" },
	{ "rss.key_offset", "uint32", "Key offset" },
	{ "rss.mask_offset", "uint32", "Mask offset" },
	{ "rss.mask_count", "uint32", "Masks" },
	{ "rss.mask_size", "uint32", "Mask size" },
	{ "rss.table", "bytes", "Table" },
	{ "rss.key", "bytes", "Key" },
	{ "config.name_offset", "uint32", "Name offset" },
	{ "config.name_length", "uint32", "Name length" },
	{ "config.type", "uint32", "Type", { [0] = "integer", [1] = "hexadecimal", [2] = "string",
		[3] = "strings", [4] = "binary" }, "dec" },
	{ "config.value_offset", "uint32", "Value offset" },
	{ "config.value_length", "uint32", "Value length" },
	{ "config.name", "string", "Name" },
	{ "config.value", "string", "Value" },
	{ "answer_in", "framenum", "Answered in frame", frametype.RESPONSE },
	{ "answer_to", "framenum", "Answer to frame", frametype.REQUEST },
	{ "answer_time", "relative_time", "Time to the answer" },
})

-- ---- violations ----

local x = {}

local function violation(proto, name, text, group)
	local e = ProtoExpert.new(proto.name:lower() .. ".expert." .. name, text, group,
		expert.severity.ERROR)
	x[proto.name:lower() .. "." .. name] = e
	return e
end

local MALFORMED, SEQUENCE = expert.group.MALFORMED, expert.group.SEQUENCE
local PROTOCOL = expert.group.PROTOCOL

hv.experts = {
	violation(hv, "record", "The record is not as it should be", MALFORMED),
	violation(hv, "lost", "Records are missing", SEQUENCE),
}
vmbus.experts = {
	violation(vmbus, "length", "Bad length", MALFORMED),
	violation(vmbus, "type", "Type of packet that does not exist here", PROTOCOL),
	violation(vmbus, "flags", "Flags that do not exist", PROTOCOL),
	violation(vmbus, "no_packet", "Completion without a packet", SEQUENCE),
	violation(vmbus, "reused", "The transaction id is in use", SEQUENCE),
	violation(vmbus, "range", "Range outside of its buffer", PROTOCOL),
	violation(vmbus, "overlap", "The other side has that section already", PROTOCOL),
	violation(vmbus, "set", "Not the receive buffer", PROTOCOL),
}
nvsp.experts = {
	violation(nvsp, "length", "Bad length", MALFORMED),
	violation(nvsp, "type", "Type of message that does not exist", PROTOCOL),
	violation(nvsp, "direction", "A message that this side does not send", PROTOCOL),
	violation(nvsp, "no_question", "Answer without a question", SEQUENCE),
	violation(nvsp, "answer", "Not the answer to the question", SEQUENCE),
	violation(nvsp, "section", "Section out of range", PROTOCOL),
	violation(nvsp, "value", "A value that makes no sense", PROTOCOL),
}
rndis.experts = {
	violation(rndis, "length", "Bad length", MALFORMED),
	violation(rndis, "type", "Type of message that does not exist", PROTOCOL),
	violation(rndis, "offset", "Offset outside of the message", MALFORMED),
	violation(rndis, "ppi", "Bad per-packet information", MALFORMED),
	violation(rndis, "no_question", "Answer without a question", SEQUENCE),
	violation(rndis, "direction", "A message that this side does not send", PROTOCOL),
}

-- ---- state of a capture ----

local nics, frames = {}, {}

function hv.init()
	nics, frames = {}, {}
end

local function new_nic()
	return { channels = {}, requests = {}, sections = {}, recv = {} }
end

local function nic_of(name)
	nics[name] = nics[name] or new_nic()
	return nics[name]
end

-- Packets that wait for their completion, by direction (0 to the host, 1 to the guest).
local function channel_of(nic, number)
	nic.channels[number] = nic.channels[number] or { [0] = {}, [1] = {}, whole = false }
	return nic.channels[number]
end

-- What is known of a frame after the first pass.
local function known(number)
	frames[number] = frames[number] or { violations = {} }
	return frames[number]
end

-- ---- help for fields ----

-- Add a little-endian field if it is there; its value.
local function add(tree, field, tvb, at, len)
	if at + len > tvb:len() then
		return nil
	end
	tree:add_le(field, tvb(at, len))
	if len <= 4 then
		return tvb(at, len):le_uint()
	end
	return nil
end

-- Layouts: { offset, bytes, field }.
local function layout(tree, list, tvb, at)
	local last = 0
	for _, d in ipairs(list) do
		add(tree, d[3], tvb, at + d[1], d[2])
		if d[1] + d[2] > last then
			last = d[1] + d[2]
		end
	end
	return last
end

local function u16(tvb, at)
	return at + 2 <= tvb:len() and tvb(at, 2):le_uint() or nil
end

local function u32(tvb, at)
	return at + 4 <= tvb:len() and tvb(at, 4):le_uint() or nil
end

local function hex(value)
	return string.format("0x%x", value)
end

local function utf16(range)
	return range:len() >= 2 and range:le_ustring():gsub("%z.*", "") or ""
end

-- From one UInt64 of nanoseconds to another.
local function between(from, to)
	local ns = (to - from):tonumber()
	return NSTime.new(math.floor(ns / 1e9), ns % 1e9)
end

local function bad(tree, which, text)
	tree:add_proto_expert_info(x[which], text)
end

-- ---- NDIS objects (spec/rndis.md §6, §7) ----

local r = f.rndis
local OFFLOADS = {
	{ 4, 4, r["offload.encap"] }, { 8, 4, r["offload.csum4_tx"] }, { 12, 4, r["offload.encap"] },
	{ 16, 4, r["offload.csum4_rx"] }, { 20, 4, r["offload.encap"] },
	{ 24, 4, r["offload.csum6_tx"] }, { 28, 4, r["offload.encap"] },
	{ 32, 4, r["offload.csum6_rx"] }, { 36, 4, r["offload.lso1"] }, { 40, 4, r["offload.lso1"] },
	{ 44, 4, r["offload.lso1"] }, { 48, 4, r["offload.lso1"] }, { 52, 4, r["offload.ipsec"] },
	{ 56, 4, r["offload.ipsec"] }, { 60, 4, r["offload.ipsec"] }, { 64, 4, r["offload.ipsec"] },
	{ 68, 4, r["offload.ipsec"] }, { 72, 4, r["offload.ipsec"] }, { 76, 4, r["offload.ipsec"] },
	{ 80, 4, r["offload.encap"] }, { 84, 4, r["offload.lso4_max"] },
	{ 88, 4, r["offload.lso4_min"] }, { 92, 4, r["offload.encap"] },
	{ 96, 4, r["offload.lso6_max"] }, { 100, 4, r["offload.lso6_min"] },
	{ 104, 4, r["offload.lso6_options"] }, { 108, 1, r["offload.flags"] },
	{ 112, 32, r["offload.ipsec2"] }, { 144, 1, r["offload.rsc4"] }, { 145, 1, r["offload.rsc6"] },
	{ 148, 4, r["offload.nvgre"] }, { 152, 4, r["offload.max_header"] },
}
local PARAMETERS = {
	{ 4, 1, r["params.ip4"] }, { 5, 1, r["params.tcp4"] }, { 6, 1, r["params.udp4"] },
	{ 7, 1, r["params.tcp6"] }, { 8, 1, r["params.udp6"] }, { 9, 1, r["params.lso1"] },
	{ 10, 1, r["params.ipsec1"] }, { 11, 1, r["params.lso4"] }, { 12, 1, r["params.lso6"] },
	{ 13, 1, r["params.connection4"] }, { 14, 1, r["params.connection6"] },
	{ 16, 4, r["params.flags"] }, { 20, 1, r["params.ipsec2"] }, { 21, 1, r["params.ipsec2_4"] },
	{ 22, 1, r["params.rsc4"] }, { 23, 1, r["params.rsc6"] }, { 24, 1, r["params.encap"] },
	{ 25, 1, r["params.encap_types"] },
}
local ENCAPSULATION = {
	{ 4, 4, r["encap.enabled4"] }, { 8, 4, r["encap.type4"] }, { 12, 4, r["encap.header4"] },
	{ 16, 4, r["encap.enabled6"] }, { 20, 4, r["encap.type6"] }, { 24, 4, r["encap.header6"] },
}
local RSS_CAPS = {
	{ 4, 4, r["rss.caps"] }, { 8, 4, r["rss.messages"] }, { 12, 4, r["rss.queues"] },
	{ 16, 2, r["rss.entries"] },
}
local RSS_PARAMS = {
	{ 4, 2, r["rss.flags"] }, { 4, 2, r["rss.disable"] }, { 6, 2, r["rss.base_cpu"] },
	{ 8, 4, r["rss.hash_info"] }, { 12, 2, r["rss.table_size"] },
	{ 16, 4, r["rss.table_offset"] }, { 20, 2, r["rss.key_size"] }, { 24, 4, r["rss.key_offset"] },
	{ 28, 4, r["rss.mask_offset"] }, { 32, 4, r["rss.mask_count"] }, { 36, 4, r["rss.mask_size"] },
}
local LINK_STATE = {
	{ 4, 4, r["link.state"] }, { 8, 4, r["link.duplex"] }, { 16, 8, r["link.tx_speed"] },
	{ 24, 8, r["link.rx_speed"] }, { 32, 4, r["link.pause"] }, { 36, 4, r["link.autoneg"] },
}

local function object(tree, tvb, list)
	add(tree, r["object.type"], tvb, 0, 1)
	add(tree, r["object.revision"], tvb, 1, 1)
	add(tree, r["object.size"], tvb, 2, 2)
	local size = u16(tvb, 2)
	if size and size > tvb:len() then
		bad(tree, "rndis.length", "The object says " .. size .. " bytes, there are " .. tvb:len())
	end
	layout(tree, list, tvb, 0)
end

local function part(tree, field, tvb, offset, length)
	if not offset or not length or length == 0 then
		return
	end
	if offset > tvb:len() or length > tvb:len() - offset then
		bad(tree, "rndis.offset", string.format("%d bytes at %d of %d", length, offset, tvb:len()))
		return
	end
	return tree:add(field, tvb(offset, length))
end

local function rss_params(tree, tvb)
	object(tree, tvb, RSS_PARAMS)
	part(tree, r["rss.table"], tvb, u32(tvb, 16), u16(tvb, 12))
	part(tree, r["rss.key"], tvb, u32(tvb, 24), u16(tvb, 20))
end

local function filter(tree, tvb)
	for _, bit in ipairs({ "filter", "filter.directed", "filter.multicast", "filter.all_multicast",
		"filter.broadcast", "filter.promiscuous" }) do
		add(tree, r[bit], tvb, 0, 4)
	end
end

local function address(tree, tvb)
	for at = 0, tvb:len() - 6, 6 do
		tree:add(r.mac, tvb(at, 6))
	end
end

local function config(tree, tvb)
	layout(tree, { { 0, 4, r["config.name_offset"] }, { 4, 4, r["config.name_length"] },
		{ 8, 4, r["config.type"] }, { 12, 4, r["config.value_offset"] },
		{ 16, 4, r["config.value_length"] } }, tvb, 0)
	for _, d in ipairs({ { 0, r["config.name"] }, { 12, r["config.value"] } }) do
		local offset, length = u32(tvb, d[1]), u32(tvb, d[1] == 0 and 4 or 16)
		if offset and length and length > 0 then
			if offset > tvb:len() or length > tvb:len() - offset then
				bad(tree, "rndis.offset", "Name or value outside of the object")
			else
				tree:add(d[2], tvb(offset, length), utf16(tvb(offset, length)))
			end
		end
	end
end

local function with(list)
	return function(tree, tvb) object(tree, tvb, list) end
end

local function word(field)
	return function(tree, tvb) add(tree, field, tvb, 0, 4) end
end

local OID_INFO = {
	[0x00010101] = function(tree, tvb)
		for at = 0, tvb:len() - 4, 4 do
			add(tree, r.oid_listed, tvb, at, 4)
		end
	end,
	[0x00010107] = word(r.link_speed),
	[0x0001010d] = function(tree, tvb) tree:add(r.text, tvb()) end,
	[0x0001010e] = filter,
	[0x00010114] = word(r.connected),
	[0x00010203] = with(RSS_CAPS),
	[0x00010204] = rss_params,
	[0x00010206] = function(tree, tvb)
		add(tree, r["link.tx_speed"], tvb, 0, 8)
		add(tree, r["link.rx_speed"], tvb, 8, 8)
	end,
	[0x00010207] = with(LINK_STATE),
	[0x0001021b] = config,
	[0x00020216] = function(tree, tvb) tree:add(r.text, tvb(), utf16(tvb())) end,
	[0x01010101] = address, [0x01010102] = address, [0x01010103] = address,
	[0x0101010a] = with(ENCAPSULATION),
	[0xfc01020b] = with(OFFLOADS), [0xfc01020c] = with(PARAMETERS), [0xfc01020d] = with(OFFLOADS),
}

local function oid_info(tree, oid, tvb)
	local info = tree:add(r.info, tvb())
	if OID_INFO[oid] then
		OID_INFO[oid](info, tvb)
	elseif tvb:len() == 4 then
		add(info, r.value, tvb, 0, 4)
	elseif tvb:len() == 8 then
		add(info, r.value64, tvb, 0, 8)
	end
end

-- The value in few words, for the Info column.
local function oid_brief(oid, tvb)
	if oid == 0x0001010e and tvb:len() >= 4 then
		return " " .. hex(u32(tvb, 0))
	elseif (oid == 0x01010101 or oid == 0x01010102) and tvb:len() == 6 then
		return " " .. tostring(tvb(0, 6):ether())
	elseif not OID_INFO[oid] and tvb:len() == 4 then
		return " " .. u32(tvb, 0)
	end
	return ""
end

-- ---- RNDIS (spec/rndis.md §2, §4) ----

local CONTROL = {
	[2] = { { 8, 4, r.request_id }, { 12, 4, r.major }, { 16, 4, r.minor },
		{ 20, 4, r.max_transfer } },
	[3] = { { 8, 4, r.request_id } },
	[4] = { { 8, 4, r.request_id }, { 12, 4, r.oid }, { 16, 4, r.info_length },
		{ 20, 4, r.info_offset }, { 24, 4, r.vc_handle } },
	[6] = { { 8, 4, r.reserved } },
	[7] = { { 8, 4, r.status }, { 12, 4, r.status_length }, { 16, 4, r.status_offset } },
	[8] = { { 8, 4, r.request_id } },
	[0x80000002] = { { 8, 4, r.request_id }, { 12, 4, r.status }, { 16, 4, r.major },
		{ 20, 4, r.minor }, { 24, 4, r.device_flags }, { 28, 4, r.medium },
		{ 32, 4, r.max_packets }, { 36, 4, r.max_transfer }, { 40, 4, r.alignment },
		{ 44, 4, r.af_offset } },
	[0x80000004] = { { 8, 4, r.request_id }, { 12, 4, r.status }, { 16, 4, r.info_length },
		{ 20, 4, r.info_offset } },
	[0x80000005] = { { 8, 4, r.request_id }, { 12, 4, r.status } },
	[0x80000006] = { { 8, 4, r.status }, { 12, 4, r.addressing_reset } },
	[0x80000008] = { { 8, 4, r.request_id }, { 12, 4, r.status } },
}
CONTROL[5] = CONTROL[4]

local PACKET_HEADER = {
	{ 8, 4, r.data_offset }, { 12, 4, r.data_length }, { 16, 4, r.oob_offset },
	{ 20, 4, r.oob_length }, { 24, 4, r.oob_count }, { 28, 4, r.ppi_offset },
	{ 32, 4, r.ppi_length }, { 36, 4, r.vc_handle }, { 40, 4, r.reserved },
}

local function bits(tree, names, tvb, at, len)
	for _, name in ipairs(names) do
		add(tree, r[name], tvb, at, len)
	end
end

local CSUM_TX = { "csum", "csum.ipv4", "csum.ipv6", "csum.tcp", "csum.udp", "csum.ip_header",
	"csum.l4_offset" }
local CSUM_RX = { "csum", "csum.rx.tcp_failed", "csum.rx.udp_failed", "csum.rx.ip_failed",
	"csum.rx.tcp_ok", "csum.rx.udp_ok", "csum.rx.ip_ok", "csum.rx.loopback", "csum.rx.tcp_value",
	"csum.rx.ip_value" }
local PPI_VALUE = {
	[2] = { "lso", "lso.mss", "lso.tcp_offset", "lso.v2", "lso.ipv6" },
	[6] = { "vlan", "vlan.priority", "vlan.cfi", "vlan.id" },
	[8] = { "hash" },
	[9] = { "hash_info", "hash.function", "hash.types" },
}

local function ppi_value(tree, type, tvb, at, left, to_guest)
	if left < 4 then
		return
	end
	if type == 0 then
		bits(tree, to_guest and CSUM_RX or CSUM_TX, tvb, at, 4)
	elseif PPI_VALUE[type] then
		bits(tree, PPI_VALUE[type], tvb, at, 4)
	elseif type == 0x80000001 then
		add(tree, r["rsc.version"], tvb, at, 1)
		bits(tree, { "rsc.flags", "rsc.multi", "rsc.first", "rsc.last" }, tvb, at + 1, 1)
		add(tree, r["rsc.id"], tvb, at + 2, 2)
	elseif at + left <= tvb:len() then
		tree:add(r["ppi.value"], tvb(at, left))
	end
end

-- Per-packet information of @len bytes at @at.
local function ppis(tree, tvb, at, len, to_guest)
	local stop = at + len
	while at < stop do
		local left = stop - at
		if at + 12 > tvb:len() and stop > tvb:len() then
			return -- not in the trace
		end
		if left < 12 then
			bad(tree, "rndis.ppi", left .. " bytes are left, not enough for another")
			return
		end
		local size, type, offset = u32(tvb, at), u32(tvb, at + 4), u32(tvb, at + 8)
		local sub = tree:add(r.ppi, tvb(at, math.min(math.max(size, 12), tvb:len() - at)))
		add(sub, r["ppi.size"], tvb, at, 4)
		add(sub, r["ppi.type"], tvb, at + 4, 4)
		add(sub, r["ppi.offset"], tvb, at + 8, 4)
		sub:append_text(": " .. (PPI[type] or hex(type)))
		if size < 12 or size > left or size % 4 ~= 0 then
			bad(sub, "rndis.ppi", "Size " .. size .. " of " .. left .. " bytes that are left")
			return
		end
		if offset < 12 or offset > size - 4 or offset % 4 ~= 0 then
			bad(sub, "rndis.ppi", "The value begins at " .. offset .. " of " .. size)
		else
			ppi_value(sub, type, tvb, at + offset, size - offset, to_guest)
		end
		at = at + size
	end
end

local eth = Dissector.get("eth_withoutfcs")

-- A PACKET message: @len bytes at @at, of which the trace has what tvb has.
local function rndis_packet(tvb, at, len, pinfo, tree, ctx)
	if len < 44 then
		bad(tree, "rndis.length", "A PACKET message of " .. len .. " bytes")
		return
	end
	layout(tree, PACKET_HEADER, tvb, at)
	if at + 44 > tvb:len() then
		return
	end
	local space = len - 8
	local offset, length = u32(tvb, at + 8), u32(tvb, at + 12)
	local ppi_at, ppi_len = u32(tvb, at + 28), u32(tvb, at + 32)
	if u32(tvb, at + 16) ~= 0 or u32(tvb, at + 20) ~= 0 or u32(tvb, at + 24) ~= 0 then
		bad(tree, "rndis.offset", "Out-of-band data")
	end
	if ppi_len ~= 0 then
		if ppi_at < 36 or ppi_at % 4 ~= 0 or ppi_at > space or ppi_len > space - ppi_at then
			bad(tree, "rndis.ppi", string.format("%d bytes at %d of %d", ppi_len, ppi_at, space))
		else
			ppis(tree, tvb, at + 8 + ppi_at, ppi_len, ctx.to_guest)
		end
	end
	if offset < 36 or offset > space then
		bad(tree, "rndis.offset", "Data begins at " .. offset .. " of " .. space)
		return
	end
	if length < 14 or length > space - offset then
		bad(tree, "rndis.length", "Data of " .. length .. " bytes, room for " .. space - offset)
		return
	end
	ctx.frames = ctx.frames + 1
	ctx.bytes = ctx.bytes + length
	local from = at + 8 + offset
	if from >= tvb:len() then
		return
	end
	local there = math.min(length, tvb:len() - from)
	if there < length or not hv.prefs.frames then
		tree:add(r.frame, tvb(from, there)):append_text(there < length and
			" (" .. there .. " of " .. length .. " bytes are here)" or "")
	else
		eth:call(tvb(from, there):tvb(), pinfo, ctx.root)
	end
	local rest = space - offset - length
	if not ctx.to_guest and rest > 0 and from + length + rest <= tvb:len() then
		tree:add(r.padding, tvb(from + length, rest))
	end
end

-- An answer belongs to the request with its id; the first pass finds it.
local function follow_request(ctx, type, id, oid)
	local nic, info, number = ctx.nic, ctx.info, ctx.number
	if ctx.to_guest then
		local asked = nic.requests[id]
		if not asked then
			if channel_of(nic, 0).whole then
				info.rndis_orphan = true
			end
			return
		end
		nic.requests[id] = nil
		info.rndis_question, info.rndis_oid = asked.number, asked.oid
		info.rndis_time = between(asked.time, ctx.time)
		if type ~= asked.type + 0x80000000 then
			info.rndis_other = RNDIS[asked.type]
		end
		known(asked.number).rndis_answer = number
		known(asked.number).rndis_time = info.rndis_time
	else
		nic.requests[id] = { number = number, time = ctx.time, type = type, oid = oid }
	end
end

local function show_request(tree, info)
	if info.rndis_answer then
		tree:add(r.answer_in, info.rndis_answer):set_generated()
	end
	if info.rndis_question then
		tree:add(r.answer_to, info.rndis_question):set_generated()
	end
	if info.rndis_time then
		tree:add(r.answer_time, info.rndis_time):set_generated()
	end
	if info.rndis_orphan then
		bad(tree, "rndis.no_question", "Nobody has asked with this request id")
	elseif info.rndis_other then
		bad(tree, "rndis.no_question", "The question was " .. info.rndis_other)
	end
end

local function rndis_buffer(tree, tvb, at, len, offset, length)
	if length == 0 then
		return nil
	end
	if offset > len - 8 or length > len - 8 - offset then
		bad(tree, "rndis.offset", string.format("%d bytes at %d of %d", length, offset, len - 8))
		return nil
	end
	if at + 8 + offset + length > tvb:len() then
		return nil -- not in the trace
	end
	return tvb(at + 8 + offset, length):tvb()
end

local function rndis_control(tvb, at, len, tree, ctx, type)
	local list, text = CONTROL[type], ""
	local least = list[#list][1] + list[#list][2]
	if len < least then
		bad(tree, "rndis.length", "A " .. RNDIS[type] .. " of " .. len .. " bytes, not " .. least)
		return ""
	end
	layout(tree, list, tvb, at)
	if at + least > tvb:len() then
		return ""
	end
	if (type >= 0x80000000 or type == 7) ~= ctx.to_guest then
		bad(tree, "rndis.direction", RNDIS[type] .. " goes the other way")
	end
	if type ~= 6 and type ~= 7 and type ~= 0x80000006 and type ~= 3 and not ctx.visited then
		follow_request(ctx, type, u32(tvb, at + 8), u32(tvb, at + 12))
	end
	if type == 4 or type == 5 then
		local oid = u32(tvb, at + 12)
		text = " " .. (OID[oid] or hex(oid))
		local info = rndis_buffer(tree, tvb, at, len, u32(tvb, at + 20), u32(tvb, at + 16))
		if info then
			oid_info(tree, oid, info)
			text = text .. oid_brief(oid, info)
		end
	elseif type == 0x80000004 then
		local oid, status = ctx.info.rndis_oid, u32(tvb, at + 12)
		text = (oid and " " .. (OID[oid] or hex(oid)) or "")
		if oid then
			tree:add(r.oid, oid):set_generated()
		end
		if status ~= 0 then
			text = text .. " " .. (RNDIS_STATUS[status] or hex(status))
		end
		local info = rndis_buffer(tree, tvb, at, len, u32(tvb, at + 20), u32(tvb, at + 16))
		if info then
			oid_info(tree, oid, info)
			text = text .. oid_brief(oid, info)
		end
	elseif type == 7 then
		local status = u32(tvb, at + 8)
		text = " " .. (RNDIS_STATUS[status] or hex(status))
		local info = rndis_buffer(tree, tvb, at, len, u32(tvb, at + 16), u32(tvb, at + 12))
		if info and status == 0x40020006 then
			object(tree:add(r.info, info()), info, OFFLOADS)
		elseif info and status == 0x40010013 then
			add(tree, r.link_speed, info, 0, 4)
		elseif info and status == 0x40010018 then
			add(tree, r.change, info, 0, 4)
		elseif info then
			add(tree, r.diag_status, info, 0, 4)
			add(tree, r.error_offset, info, 4, 4)
		end
	elseif type == 0x80000002 then
		add(tree, r.af_size, tvb, at + 48, 4)
		text = string.format(" %d messages, alignment %d", u32(tvb, at + 32),
			2 ^ math.min(u32(tvb, at + 40), 31))
	elseif type == 0x80000005 then
		local status = u32(tvb, at + 12)
		local oid = ctx.info.rndis_oid
		text = (oid and " " .. (OID[oid] or hex(oid)) or "") .. " " ..
			(RNDIS_STATUS[status] or hex(status))
		if oid then
			tree:add(r.oid, oid):set_generated()
		end
	end
	show_request(tree, ctx.info)
	return text
end

-- One message at @at of @left bytes. The bytes that it takes, nil: nothing more can be found.
local function rndis_message(tvb, at, left, pinfo, root, ctx)
	if left < 8 then
		if at < tvb:len() then
			bad(root, "rndis.length", left .. " bytes behind the last message")
		end
		return nil
	end
	if at + 8 > tvb:len() then
		return nil
	end
	local type, len = u32(tvb, at), u32(tvb, at + 4)
	local tree = root:add(rndis, tvb(at, math.max(math.min(len, tvb:len() - at), 8)))
	add(tree, r.type, tvb, at, 4)
	add(tree, r.length, tvb, at + 4, 4)
	tree:append_text(", " .. (RNDIS[type] or hex(type)))
	if not RNDIS[type] then
		bad(tree, "rndis.type", "There is no message of type " .. hex(type))
		ctx.text[#ctx.text + 1] = "RNDIS type " .. hex(type) .. "?"
		return nil
	end
	-- Hosts may leave the status buffer out (spec/nvsp.md §6): what there is counts.
	if len < 8 or len > left then
		bad(tree, "rndis.length", "It says " .. len .. " bytes, there are " .. left)
		if type ~= 1 then
			ctx.text[#ctx.text + 1] = RNDIS[type]
		end
		return nil
	end
	if type == 1 then
		rndis_packet(tvb, at, len, pinfo, tree, ctx)
	else
		ctx.text[#ctx.text + 1] = RNDIS[type] ..
			rndis_control(tvb, at, type == 7 and left or len, tree, ctx, type)
	end
	return len
end

-- ---- NVSP (spec/nvsp.md §3) ----

local n = f.nvsp
local MESSAGE = {
	[1] = { { 4, 4, n.version }, { 8, 4, n.version_again } },
	[2] = { { 4, 4, n.deprecated }, { 8, 4, n.max_mdl_chain }, { 12, 4, n.status } },
	[100] = { { 4, 4, n.ndis_major }, { 8, 4, n.ndis_minor } },
	[101] = { { 4, 4, n.gpadl }, { 8, 2, n.id }, { 10, 2, n.reserved } },
	[102] = { { 4, 4, n.status }, { 8, 4, n.sections }, { 12, 4, n.offset },
		{ 16, 4, n.section_size }, { 20, 4, n.section_count }, { 24, 4, n.end_offset } },
	[103] = { { 4, 2, n.id } },
	[105] = { { 4, 4, n.status }, { 8, 4, n.section_size } },
	[106] = { { 4, 2, n.id } },
	[107] = { { 4, 4, n.channel_type }, { 8, 4, n.section_index }, { 12, 4, n.section_bytes } },
	[108] = { { 4, 4, n.status } },
	[125] = { { 4, 4, n.mtu }, { 8, 4, n.mtu_reserved }, { 12, 8, n.cap },
		{ 12, 4, n["cap.vmq"] }, { 12, 4, n["cap.chimney"] }, { 12, 4, n["cap.sriov"] },
		{ 12, 4, n["cap.vlan"] }, { 12, 4, n["cap.correlation"] }, { 12, 4, n["cap.teaming"] },
		{ 12, 4, n["cap.vsubnet"] }, { 12, 4, n["cap.rsc"] } },
	[128] = { { 4, 4, n.vf_allocated }, { 8, 4, n.vf_serial } },
	[129] = { { 4, 4, n.path } },
	[130] = {},
	[131] = { { 4, 1, n.object_type }, { 5, 1, n.object_revision }, { 6, 2, n.object_size },
		{ 8, 4, n.oid } },
	[132] = { { 4, 4, n.ndis_status }, { 8, 4, n.bytes } },
	[133] = { { 4, 4, n.operation }, { 8, 4, n.channels } },
	[134] = { { 4, 4, n.table_entries }, { 8, 4, n.table_offset } },
	[135] = {}, [136] = {},
}
MESSAGE[104] = MESSAGE[101]
local GRANTED = { { 4, 4, n.status }, { 8, 4, n.granted } }

local BRIEF = {
	[1] = function(tvb) return " version " .. (NVSP_VERSION[u32(tvb, 4)] or hex(u32(tvb, 4))) end,
	[2] = function(tvb) return " " .. (NVSP_STATUS[u32(tvb, 12)] or u32(tvb, 12)) end,
	[100] = function(tvb) return string.format(" %d.%d", u32(tvb, 4), u32(tvb, 8)) end,
	[101] = function(tvb) return " GPADL " .. hex(u32(tvb, 4)) end,
	[102] = function(tvb)
		return string.format(" %s, %d sections of %d bytes",
			NVSP_STATUS[u32(tvb, 4)] or u32(tvb, 4), u32(tvb, 20), u32(tvb, 16))
	end,
	[105] = function(tvb)
		return string.format(" %s, sections of %d bytes", NVSP_STATUS[u32(tvb, 4)] or u32(tvb, 4),
			u32(tvb, 8))
	end,
	[108] = function(tvb) return " " .. (NVSP_STATUS[u32(tvb, 4)] or u32(tvb, 4)) end,
	[125] = function(tvb)
		return string.format(" MTU %d, capabilities 0x%x", u32(tvb, 4), u32(tvb, 12))
	end,
	[128] = function(tvb)
		return (u32(tvb, 4) ~= 0 and " present" or " gone") .. ", serial " .. u32(tvb, 8)
	end,
	[129] = function(tvb)
		return u32(tvb, 4) == 0 and " synthetic" or u32(tvb, 4) == 1 and " VF" or " " .. u32(tvb, 4)
	end,
}
BRIEF[104] = BRIEF[101]

local function send_table(tree, tvb)
	local entries, at = u32(tvb, 4), u32(tvb, 8)
	if entries ~= 16 then
		bad(tree, "nvsp.value", "A table has 16 entries, not " .. entries)
		return
	end
	-- Old hosts with the newer layout say the older one's offset (spec/nvsp.md §8).
	if tvb:len() >= 104 and at < 40 then
		at = 40
	end
	if at < 12 or at > tvb:len() - 64 then
		bad(tree, "nvsp.length", "A table at " .. at .. " of " .. tvb:len() .. " bytes")
		return
	end
	for i = 0, 15 do
		add(tree, n.table_entry, tvb, at + 4 * i, 4)
	end
end

-- What one message says that others are understood by; first pass.
local function learn(ctx, type, tvb)
	local nic = ctx.nic
	if type == 101 then
		nic.recv_id = u16(tvb, 8)
	elseif type == 102 and u32(tvb, 4) == 1 then
		nic.recv_section, nic.recv_count = u32(tvb, 16), u32(tvb, 20)
	elseif type == 105 and u32(tvb, 4) == 1 then
		nic.send_section = u32(tvb, 8)
	elseif type == 133 and not ctx.answer then
		nic.asked = u32(tvb, 8)
	elseif type == 103 then
		nic.recv_section, nic.recv_id = nil, nil
	elseif type == 106 then
		nic.send_section = nil
	end
	if ctx.tid and type == 133 and ctx.answer and nic.asked and u32(tvb, 8) > nic.asked then
		ctx.info.granted_more = nic.asked
	end
end

local function nvsp_value(tree, type, tvb, ctx)
	if type == 102 and u32(tvb, 4) == 1 then
		local bytes = u32(tvb, 16) * u32(tvb, 20)
		if u32(tvb, 8) ~= 1 or u32(tvb, 12) ~= 0 then
			bad(tree, "nvsp.value", "A receive buffer is one section that begins at 0")
		end
		if ctx.recv_length ~= 0 and bytes > ctx.recv_length then
			bad(tree, "nvsp.section", bytes .. " bytes of " .. ctx.recv_length)
		end
	end
	if ctx.info.granted_more then
		bad(tree, "nvsp.value", "More granted than the " .. ctx.info.granted_more .. " asked for")
	end
end

-- A message in @tvb; its type and what it is in words.
local function nvsp_message(tvb, root, ctx)
	if tvb:len() < 4 then
		bad(root, "nvsp.length", "A message of " .. tvb:len() .. " bytes")
		return nil, "NVSP?"
	end
	local type = u32(tvb, 0)
	local tree = root:add(nvsp, tvb())
	local list = (type == 133 and ctx.answer) and GRANTED or MESSAGE[type]
	add(tree, n.type, tvb, 0, 4)
	ctx.nvsp_tree = tree
	if not list then
		tree:append_text(", type " .. type)
		bad(tree, "nvsp.type", "There is no message of type " .. type)
		return type, "NVSP type " .. type .. "?"
	end
	tree:append_text(", " .. NVSP[type])
	if not (ctx.to_guest and TO_GUEST or TO_HOST)[type] then
		bad(tree, "nvsp.direction", NVSP[type] .. " goes the other way")
	end
	local least = 4
	for _, d in ipairs(list) do
		least = math.max(least, d[1] + d[2])
	end
	if tvb:len() < least then
		bad(tree, "nvsp.length", string.format("%s takes %d bytes, there are %d", NVSP[type],
			least, tvb:len()))
		return type, NVSP[type]
	end
	layout(tree, list, tvb, 0)
	if type == 134 then
		send_table(tree, tvb)
	elseif tvb:len() > least then
		tree:add(#list == 0 and n.rest or n.padding, tvb(least))
	end
	if not ctx.visited then
		learn(ctx, type, tvb)
	end
	nvsp_value(tree, type, tvb, ctx)
	local brief = BRIEF[type] and BRIEF[type](tvb) or ""
	if type == 133 then
		brief = ctx.answer and string.format(" %s, %d granted", NVSP_STATUS[u32(tvb, 4)] or
			u32(tvb, 4), u32(tvb, 8)) or " of " .. u32(tvb, 8)
	end
	return type, NVSP[type] .. brief
end

-- ---- packets ----

-- Sections that are with the other side, by packet; first pass.
local function hold(ctx, held, key)
	if held[key] and held[key] ~= ctx.number then
		ctx.info.overlap = held[key]
	end
	held[key] = ctx.number
	ctx.holds[#ctx.holds + 1] = { held, key }
end

local function let_go(packet)
	for _, h in ipairs(packet.holds) do
		if h[1][h[2]] == packet.number then
			h[1][h[2]] = nil
		end
	end
end

-- A packet that asks for a completion, or one. First pass.
local function follow_packet(ctx, type, flags, tid)
	local waiting = ctx.chan[ctx.to_guest and 1 or 0]
	if type ~= 11 then
		if bit32.band(flags, 1) ~= 0 and tid ~= NO_TID and not (ctx.control_only and type == 7) then
			if waiting[tid] then
				ctx.info.reused = waiting[tid].number
				let_go(waiting[tid])
			end
			waiting[tid] = { number = ctx.number, time = ctx.time, holds = ctx.holds, type = type }
		end
		return
	end
	local other = ctx.chan[ctx.to_guest and 0 or 1]
	local packet = other[tid]
	if not packet then
		if ctx.chan.whole and not (ctx.control_only and not ctx.to_guest) then
			ctx.info.no_packet = true
		end
		return
	end
	other[tid] = nil
	let_go(packet)
	ctx.info.question, ctx.info.time = packet.number, between(packet.time, ctx.time)
	ctx.info.question_type = known(packet.number).nvsp
	known(packet.number).answer = ctx.number
	known(packet.number).time = ctx.info.time
end

local function show_packet(tree, info)
	if info.answer then
		tree:add(f.vmbus.answer_in, info.answer):set_generated()
	end
	if info.question then
		tree:add(f.vmbus.answer_to, info.question):set_generated()
	end
	if info.time then
		tree:add(f.vmbus.answer_time, info.time):set_generated()
	end
	if info.no_packet then
		bad(tree, "vmbus.no_packet", "No packet with this transaction id is outstanding")
	end
	if info.reused then
		bad(tree, "vmbus.reused", "Frame " .. info.reused .. " has it and is not completed")
	end
	if info.overlap then
		tree:add(f.vmbus.section_of, info.overlap):set_generated()
		bad(tree, "vmbus.overlap", "Frame " .. info.overlap .. " has it and is not completed")
	end
end

-- Header of a transfer packet; the ranges as { length, offset }.
local function transfer(tvb, header, tree, ctx)
	local ranges, v = {}, f.vmbus
	if header < 24 or tvb:len() < 24 then
		bad(tree, "vmbus.length", "No room for ranges")
		return ranges
	end
	local set, count = u16(tvb, 16), u32(tvb, 20)
	add(tree, v.set, tvb, 16, 2)
	add(tree, v.owns, tvb, 18, 1)
	add(tree, v.ranges, tvb, 20, 4)
	if ctx.info.recv_id and set ~= ctx.info.recv_id then
		bad(tree, "vmbus.set", "The receive buffer is " .. hex(ctx.info.recv_id))
	end
	local room = math.floor((header - 24) / 8)
	if count == 0 or count ~= room then
		bad(tree, "vmbus.length", count .. " ranges, room for " .. room)
	end
	for i = 0, math.min(count, room) - 1 do
		local at = 24 + 8 * i
		if at + 8 > tvb:len() then
			break
		end
		local length, offset = u32(tvb, at), u32(tvb, at + 4)
		local sub = tree:add(v.range, tvb(at, 8))
		sub:append_text(string.format(" %d: %d bytes at %d", i, length, offset))
		add(sub, v["range.length"], tvb, at, 4)
		add(sub, v["range.offset"], tvb, at + 4, 4)
		local size = ctx.info.recv_section
		if ctx.recv_length ~= 0 and (offset > ctx.recv_length or
			length > ctx.recv_length - offset) then
			bad(sub, "vmbus.range", "The receive buffer has " .. ctx.recv_length .. " bytes")
		elseif length < 8 then
			bad(sub, "vmbus.range", "No message is that short")
		elseif size and length > size then
			bad(sub, "vmbus.range", "A section has " .. size .. " bytes")
		elseif size and size ~= 0 and not ctx.visited and not ctx.control_only then
			hold(ctx, ctx.nic.recv, math.floor(offset / size))
		end
		ranges[#ranges + 1] = { length, offset }
	end
	return ranges
end

-- Header of a packet with guest pages.
local function pages(tvb, header, tree)
	local v, at = f.vmbus, 24
	if header < 24 or tvb:len() < 24 then
		bad(tree, "vmbus.length", "No room for ranges")
		return
	end
	local count = u32(tvb, 20)
	add(tree, v.reserved, tvb, 16, 4)
	add(tree, v.ranges, tvb, 20, 4)
	if count == 0 then
		bad(tree, "vmbus.length", "No range")
	end
	for i = 0, count - 1 do
		if at + 8 > math.min(header, tvb:len()) then
			bad(tree, "vmbus.length", "Range " .. i .. " lies behind the header")
			return
		end
		local length, offset = u32(tvb, at), u32(tvb, at + 4)
		local n_pages = math.floor((offset + length + 4095) / 4096)
		local sub = tree:add(v.range, tvb(at, math.min(8 + 8 * n_pages, tvb:len() - at)))
		sub:append_text(string.format(" %d: %d bytes from %d of the page on", i, length, offset))
		add(sub, v["range.length"], tvb, at, 4)
		add(sub, v["range.offset"], tvb, at + 4, 4)
		if offset >= 4096 or length == 0 then
			bad(sub, "vmbus.range", "A range has bytes, and begins in its first page")
		end
		at = at + 8
		if at + 8 * n_pages > header then
			bad(sub, "vmbus.length", "Pages lie behind the header")
			return
		end
		for page = 0, n_pages - 1 do
			add(sub, v["range.pfn"], tvb, at + 8 * page, 8)
		end
		at = at + 8 * n_pages
	end
	if at ~= header then
		bad(tree, "vmbus.length", header - at .. " bytes behind the ranges")
	end
end

-- Is the section that a send names one? First pass: and who has it.
local function section(tvb, tree, ctx)
	local index, bytes, size = u32(tvb, 8), u32(tvb, 12), ctx.info.send_section
	if index == 0xffffffff then
		ctx.nvsp_tree:append_text(", no section")
		if bytes ~= 0 then
			bad(tree, "nvsp.section", "Bytes of no section")
		end
		return
	end
	if size and bytes > size then
		bad(tree, "nvsp.section", bytes .. " bytes of a section of " .. size)
	elseif size and ctx.send_length ~= 0 and (index + 1) * size > ctx.send_length then
		bad(tree, "nvsp.section", "The send buffer has " .. math.floor(ctx.send_length / size) ..
			" sections")
	elseif not ctx.visited then
		hold(ctx, ctx.nic.sections, index)
	end
	if bytes == 0 then
		bad(tree, "nvsp.section", "A section of no bytes")
	end
end

local function vmbus_packet(tvb, root, ctx)
	local v, type = f.vmbus, u16(tvb, 0)
	local offset8, len8, flags = u16(tvb, 2), u16(tvb, 4), u16(tvb, 6)
	local tid = tostring(tvb(8, 8):le_uint64())
	local tree = root:add(vmbus, tvb())
	local header, name = offset8 * 8, PACKET[type] or "type " .. type
	tree:append_text(", " .. name)
	add(tree, v.type, tvb, 0, 2)
	add(tree, v.offset8, tvb, 2, 2)
	add(tree, v.len8, tvb, 4, 2)
	add(tree, v.flags, tvb, 6, 2)
	add(tree, v.completion_requested, tvb, 6, 2)
	add(tree, v.tid, tvb, 8, 8)
	if bit32.band(flags, 0xfffe) ~= 0 then
		bad(tree, "vmbus.flags", "Flags " .. hex(flags))
	end
	if offset8 < 2 or len8 < offset8 or len8 * 8 ~= ctx.packet_length then
		bad(tree, "vmbus.length", string.format("Payload at %d of %d bytes; there are %d", header,
			len8 * 8, ctx.packet_length))
		return name
	end
	local wrong = not PACKET[type] or (type == 7 and not ctx.to_guest) or
		(type == 9 and ctx.to_guest)
	if wrong then
		bad(tree, "vmbus.type", "A packet of type " .. type .. " is not sent this way")
		return name
	end
	if not ctx.visited then
		ctx.info.recv_section, ctx.info.send_section = ctx.nic.recv_section, ctx.nic.send_section
		ctx.info.recv_id = ctx.nic.recv_id
	end
	ctx.tid, ctx.answer = tid, type == 11
	if type == 7 then
		ctx.ranges = transfer(tvb, header, tree, ctx)
	elseif type == 9 then
		pages(tvb, header, tree)
	end
	local text, message = name, nil
	if tvb:len() > header then
		message, text = nvsp_message(tvb(header):tvb(), root, ctx)
		if not ctx.visited then
			ctx.info.nvsp = message
		end
		if message == 107 and tvb:len() >= header + 16 then
			ctx.control = u32(tvb, header + 4) == 1
			if not ctx.to_guest then
				section(tvb(header):tvb(), ctx.nvsp_tree, ctx)
			end
		end
	elseif type ~= 11 and tvb:len() < ctx.packet_length then
		text = name .. " (cut)"
	elseif type ~= 11 then
		bad(tree, "nvsp.length", "A packet without a message")
	else
		text = "empty completion"
	end
	if not ctx.visited then
		follow_packet(ctx, type, flags, tid)
	end
	show_packet(tree, ctx.info)
	local wanted = ctx.info.question_type and NVSP_ANSWER[ctx.info.question_type]
	if ctx.answer and wanted and message ~= wanted then
		bad(ctx.nvsp_tree or tree, "nvsp.answer", "The question was " ..
			NVSP[ctx.info.question_type])
	end
	-- An answer of another kind than the notices' has had a question, unless the trace began later.
	if not ctx.answer and (message == 2 or message == 102 or message == 105 or message == 108 or
		message == 132) then
		bad(ctx.nvsp_tree, "nvsp.no_question", NVSP[message] .. " comes as a completion")
	end
	return text
end

-- ---- records ----

local function event(number, tree, pinfo, ctx, what)
	if what ~= 0 and not ctx.visited then
		if ctx.channel == 0 then
			-- A session begins or ends; with it all that was in flight.
			local name = ctx.name
			nics[name] = new_nic()
			ctx.nic = nics[name]
		end
		ctx.nic.channels[ctx.channel] = nil
		channel_of(ctx.nic, ctx.channel).whole = what == 1
	end
	pinfo.cols.protocol = "VMBus"
	pinfo.cols.info = string.format("ch %d  channel %s", ctx.channel,
		what == 1 and "opened" or what == 2 and "closed" or "event " .. what)
end

-- The pieces behind the packet: { kind, index, range, length, captured, unreadable }.
local function pieces(tvb, at, count, tree)
	local list = {}
	for i = 1, count do
		if at + 16 > tvb:len() then
			bad(tree, "hvtrace.record", "Piece " .. i .. " lies behind the end")
			return list
		end
		local kind, index = u16(tvb, at), u16(tvb, at + 2)
		local length, captured = u32(tvb, at + 8), u32(tvb, at + 12)
		if captured > tvb:len() - at - 16 then
			bad(tree, "hvtrace.record", "Piece " .. i .. " is longer than the record")
			return list
		end
		local sub = tree:add(f.hvtrace.piece, tvb(at, 16 + captured))
		sub:append_text(string.format(": %s, %d bytes", PIECE[bit32.band(kind, 0x7fff)] or kind,
			length))
		add(sub, f.hvtrace["piece.kind"], tvb, at, 2)
		add(sub, f.hvtrace["piece.unreadable"], tvb, at, 2)
		add(sub, f.hvtrace["piece.index"], tvb, at + 2, 2)
		add(sub, f.hvtrace["piece.offset"], tvb, at + 4, 4)
		add(sub, f.hvtrace["piece.length"], tvb, at + 8, 4)
		add(sub, f.hvtrace["piece.captured"], tvb, at + 12, 4)
		list[i] = { kind = bit32.band(kind, 0x7fff), length = length, captured = captured,
			unreadable = kind >= 0x8000,
			range = captured > 0 and tvb(at + 16, captured) or nil }
		at = at + 16 + captured + (-captured % 4)
	end
	return list
end

-- A send: its pieces are one stream of messages that tile it.
local function stream(list, pinfo, root, ctx)
	local total, bytes, whole = 0, nil, true
	for i, piece in ipairs(list) do
		total = total + piece.length
		if piece.range and whole then
			if #list == 1 then
				bytes = piece.range:tvb()
			else
				bytes = bytes or ByteArray.new()
				bytes:append(piece.range:bytes())
			end
		end
		whole = whole and piece.captured == piece.length
		if piece.unreadable then
			bad(ctx.nvsp_tree or root, "vmbus.range", "Memory that it names cannot be read")
			return
		end
	end
	if not bytes then
		return
	end
	local tvb = #list == 1 and bytes or bytes:tvb("RNDIS")
	local at = 0
	while at < total and at < tvb:len() do
		local len = rndis_message(tvb, at, total - at, pinfo, root, ctx)
		if not len then
			return
		end
		at = at + len
	end
end

local function messages(list, pinfo, root, ctx)
	if not ctx.to_guest then
		stream(list, pinfo, root, ctx)
		return
	end
	for _, piece in ipairs(list) do
		if piece.range then
			rndis_message(piece.range:tvb(), 0, piece.length, pinfo, root, ctx)
		end
	end
end

function hv.dissector(tvb, pinfo, root)
	if tvb:len() < HEADER then
		return 0
	end
	local h, direction = f.hvtrace, tvb(1, 1):uint()
	local captured, count = u32(tvb, 20), u16(tvb, 6)
	local tree = root:add(hv, tvb())
	local name, lost = u32(tvb, 32), u32(tvb, 36)
	local nic = nic_of(name)
	add(tree, h.version, tvb, 0, 1)
	add(tree, h.direction, tvb, 1, 1)
	add(tree, h.channel, tvb, 2, 2)
	add(tree, h.guest, tvb, 4, 1)
	add(tree, h.control_only, tvb, 4, 1)
	add(tree, h.incomplete, tvb, 4, 1)
	add(tree, h.event, tvb, 5, 1)
	add(tree, h.pieces, tvb, 6, 2)
	add(tree, h.time, tvb, 8, 8)
	add(tree, h.packet_length, tvb, 16, 4)
	add(tree, h.packet_captured, tvb, 20, 4)
	add(tree, h.recv_length, tvb, 24, 4)
	add(tree, h.send_length, tvb, 28, 4)
	add(tree, h.tap, tvb, 32, 4)
	add(tree, h.lost, tvb, 36, 4)
	if tvb(0, 1):uint() ~= 1 or direction > 2 or captured > tvb:len() - HEADER then
		bad(tree, "hvtrace.record", "Not a record that this dissector knows")
		return tvb:len()
	end
	local channel = u16(tvb, 2)
	local ctx = { nic = nic, name = name, channel = channel, chan = channel_of(nic, channel),
		to_guest = direction == 1, visited = pinfo.visited, number = pinfo.number,
		time = tvb(8, 8):le_uint64(), info = known(pinfo.number), root = root,
		packet_length = u32(tvb, 16), recv_length = u32(tvb, 24), send_length = u32(tvb, 28),
		control_only = bit32.band(tvb(4, 1):uint(), 2) ~= 0, holds = {}, text = {}, frames = 0,
		bytes = 0 }
	if lost ~= 0 then
		bad(tree, "hvtrace.lost", lost .. " records are missing before this one")
	end
	if lost ~= 0 and not pinfo.visited then
		-- What is outstanding is not known any more, on any channel.
		nic.channels, nic.requests, nic.sections, nic.recv = {}, {}, {}, {}
		ctx.chan = channel_of(nic, channel)
	end
	if direction == 2 then
		event(pinfo.number, tree, pinfo, ctx, tvb(5, 1):uint())
		return tvb:len()
	end
	if captured < 16 then
		bad(tree, "hvtrace.record", "Not even a descriptor")
		return tvb:len()
	end
	local list = pieces(tvb, HEADER + captured + (-captured % 4), count, tree)
	local text = vmbus_packet(tvb(HEADER, captured):tvb(), root, ctx)
	messages(list, pinfo, root, ctx)
	local protocol = #ctx.text > 0 and "RNDIS" or ctx.frames > 0 and "RNDIS" or "NVSP"
	if #ctx.text > 0 then
		text = table.concat(ctx.text, ", ")
	elseif ctx.frames > 0 then
		text = string.format("PACKET, %d frame%s, %d bytes", ctx.frames,
			ctx.frames == 1 and "" or "s", ctx.bytes)
	end
	pinfo.cols.protocol = protocol
	pinfo.cols.src = ctx.to_guest and "host" or "guest"
	pinfo.cols.dst = ctx.to_guest and "guest" or "host"
	pinfo.cols.info = string.format("ch %d  %s", channel, text)
	return tvb:len()
end

DissectorTable.get("wtap_encap"):add(wtap["USER" .. LINKTYPE], hv)
