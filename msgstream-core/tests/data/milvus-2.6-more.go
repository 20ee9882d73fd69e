// Prints messages of Milvus as it encodes them: payload, and the headers that it gives them.
package main

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"

	"github.com/milvus-io/milvus-proto/go-api/v2/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v2/msgpb"
	"google.golang.org/protobuf/proto"
)

type based interface {
	proto.Message
	GetBase() *commonpb.MsgBase
}

type vector struct {
	Name       string            `json:"name"`
	MsgType    int32             `json:"msg_type"`
	Payload    string            `json:"payload_hex"`
	Properties map[string]string `json:"properties"`
	Begin      uint64            `json:"begin_ts_after_unmarshal"`
	End        uint64            `json:"end_ts_after_unmarshal"`
}

func of(name string, msg based, vchannel string, collection int64) vector {
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(msg)
	if err != nil {
		panic(err)
	}
	base := msg.GetBase()
	ts := base.GetTimestamp()
	properties := map[string]string{
		"msg_type":      base.GetMsgType().String(),
		"msg_id":        strconv.FormatInt(base.GetMsgID(), 10),
		"timestamp":     strconv.FormatUint(ts, 10),
		"vchannel":      vchannel,
		"collection_id": strconv.FormatInt(collection, 10),
	}
	if info := base.GetReplicateInfo(); info != nil {
		properties["replicate_id"] = info.GetReplicateID()
	}
	return vector{name, int32(base.GetMsgType()), hex.EncodeToString(payload), properties, ts, ts}
}

func base(kind commonpb.MsgType, id int64, ts uint64) *commonpb.MsgBase {
	return &commonpb.MsgBase{MsgType: kind, MsgID: id, Timestamp: ts, SourceID: 7}
}

func replicated(b *commonpb.MsgBase, id string) *commonpb.MsgBase {
	b.ReplicateInfo = &commonpb.ReplicateInfo{IsReplicate: true, MsgTimestamp: b.Timestamp - 1, ReplicateID: id}
	return b
}

func main() {
	drop := &msgpb.DropPartitionRequest{
		Base: base(commonpb.MsgType_DropPartition, 17, 109), DbName: "db", CollectionName: "coll",
		PartitionName: "p", DbID: 1, CollectionID: 42, PartitionID: 45,
	}
	tt := &msgpb.DataNodeTtMsg{
		Base: base(commonpb.MsgType_DataNodeTt, 18, 110), ChannelName: "dml_0_42v0", Timestamp: 110,
		SegmentsStats: []*commonpb.SegmentStats{{SegmentID: 44, NumRows: 3}, {SegmentID: 45, NumRows: -1}, {}},
	}
	end := &msgpb.ReplicateMsg{
		Base: replicated(base(commonpb.MsgType_Replicate, 19, 111), "other-cluster"), IsEnd: true,
		IsCluster: true, Database: "db", Collection: "coll",
	}
	dropped := proto.Clone(drop).(*msgpb.DropPartitionRequest)
	dropped.Base = replicated(base(commonpb.MsgType_DropPartition, 20, 112), "other-cluster")
	unnamed := proto.Clone(end).(*msgpb.ReplicateMsg)
	unnamed.Base = replicated(base(commonpb.MsgType_Replicate, 21, 113), "")
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	out.Encode(map[string]any{
		"note": "Payloads by Marshal of the Go module github.com/milvus-io/milvus-proto/go-api/v2 v2.6.7 (msgpb, deterministic), headers by the rules of Milvus 2.6: the five of every message, and replicate_id where the base has a ReplicateInfo.",
		"messages": []vector{
			of("drop_partition", drop, "", 42),
			of("data_node_tt", tt, "", 0),
			of("replicate", end, "", 0),
			of("drop_partition_replicated", dropped, "", 42),
			of("replicate_without_an_id", unnamed, "", 0),
		},
	})
}
